-- The certificate of a device that made its own key, PEM: a device that did not hear its answer
-- asks again with the same key and gets the same certificate.
ALTER TABLE devices ADD COLUMN issued_pem TEXT;
