"""What tests share: a real daemon in a process of its own, plain peers of its sockets, lines to send."""
