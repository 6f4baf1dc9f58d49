"""Who may call: service principals, their tokens, and the certificates that https needs."""
