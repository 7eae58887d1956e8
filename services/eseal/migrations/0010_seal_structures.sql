-- A seal by GB/T 38540 (SESeal, DER), signed by its maker for this key's certificate; null where it has none.
ALTER TABLE seal_key ADD COLUMN structure bytea;
