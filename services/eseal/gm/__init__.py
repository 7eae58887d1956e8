"""National cryptography: SM2, SM3, seals and signatures of GB/T 38540."""
