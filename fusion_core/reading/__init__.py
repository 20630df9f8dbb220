"""Reading what users bring: everything hostile stops here, as a refusal or an error with a code.

`records` is the way in; `media`, `pictures`, `clips` and `texts` decode; the others guard names, archives and tables.
"""
