"""Electronic seals (电子印章): seals, their keys, sealing documents and verifying them."""
