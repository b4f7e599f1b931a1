"""Where the credential is kept: `base` says what a store is and what is in it; one kind of store a file."""
