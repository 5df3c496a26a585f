"""Files and folders of other tools as sources: each format has a reader that puts what it finds into a ``Spool``; one
``FileSource`` hands the spool's records out in order. Nothing in a file is trusted: sizes are bounded, links and paths do not
lead out of the folder that was named, and nothing is ever unpickled.
"""
