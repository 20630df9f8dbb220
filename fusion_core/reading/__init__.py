"""Reading what users bring: everything hostile stops here, as a refusal or an error with a code.

`records` is the way in; `media`, `pictures`, `clips` and `texts` decode; `bounded` has them do so in a child process
(`pool`, `child`, `wire`, `row_lines` and, on the other side, `worker`); the others guard names, archives and tables.
"""
