-- A caller's key stands nowhere in clear. Schemas made before that was so still have the column.
ALTER TABLE signature DROP COLUMN IF EXISTS request_id;
