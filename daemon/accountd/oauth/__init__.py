"""The OAuth side as values: no socket, no clock, no client. Each module is one mechanism of the issuer's."""
