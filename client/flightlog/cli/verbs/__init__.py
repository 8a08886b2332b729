"""One module for each verb, named as it; its `command` is what runs."""
