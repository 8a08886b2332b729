"""flightlogd keeps what is said. One event walks through these modules, in this order.

- `listen`: bind or inherit the three sockets, accept, ask the kernel who is there (`peer`)
- `users`: who is connected, by user; `access`: what each may do, and how much; `loopshare`, `turns`: how they
  share the loop and the readers, `interpreter`: and Python's lock; `shedding`: what of a user over a rate is
  not stored
- `framing`: bytes to whole lines
- `session`: one ingest connection: hello, lines in, acks out; `receive`: its blocks; `greeting`: what is said
  besides events; `repeat`: what was recorded elsewhere first, with where and by whom
- `masking`: what is secret in lines is masked, whoever sent them
- `decode`: lines to `facts` (who is in them, what is more than a log line), or to refusals
- `inbox`: what waits for the writer, bounded, in a lane for each user
- `writer`: the thread that commits what all sessions have, and reports it; `company`: whom one waits for;
  `lone`: lines of those who wait for each ack, which that thread reads and acks itself
- `append`: one transaction: what is stored, refused, known already; `submission`: what it is given
- `batch`, `lines`: runs of lines to rows of the event table, and where each line is in them
- `seal`: digest and chain of a row
- `store`: the database, its tables, the only SQL on the event log; `store.packed`: what is
  compressed, and how everybody reads it
- `project`: read models, in the same transaction; `durations`, `periods`: how they count
- `head`: the log grew: wake who waits
- `tail`: read where seq > cursor, send, wait; `live`: who waits is written to there (`sending`), if a commit
  has something for it; `passing`, `lag`: cursors that see nothing, or stay behind
- `query`: one query connection; `answer`: every question and who answers it; the questions live in `queries`;
  `brief`: those that are answered where they are read
- `search`: the index of words (`store.searchdb`, `store.searchfeed`) follows the log, behind the writer
- `completeness`: whether all that was said of an execution is here
- `timetravel`: one execution as it was, by the same read models
- `control`: one control connection: rebuild, retention, scrub, reload; `verbs` ask it
- `rebuild`, `rebuild_live`, `touched`: read models computed again beside the live ones, from `history`;
  `renew` makes damaged tables anew
- `backup`: a copy of the log while it grows; `salvage`: what can be read of a damaged one
- `governance`: what leaves the log, and the proof that nothing else did
- `reactions`: what follows of itself: who dies with its execution open (`owners`, `processes`), whose time is
  up (`deadlines`); `active` is what they look after, `voice` how the daemon says it
- `plans`, `plan_answer`: what is asked for is planned, by the pure rules in `planning`
- `app`: wiring, start and stop; `notify`, `watchdog`: what the supervisor is told
"""

__version__ = "0.1.0"
