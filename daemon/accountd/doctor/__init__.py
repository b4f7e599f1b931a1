"""What `accountd doctor` looks at: one function a check, each of which looks at one thing and changes nothing.

`findings` is what a check finds, `examine` runs the checks, `checks` is the table of them, and `surroundings`
what they look at. A check knows nothing of the others.
"""
