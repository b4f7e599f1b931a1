"""HTTP towards the issuer and others: the one door that all requests leave by."""
