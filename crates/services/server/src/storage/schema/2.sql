-- When a token stops being good by itself; null for never.
ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
