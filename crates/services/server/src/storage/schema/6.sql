-- What a device wanted known comes with an id, and may come twice: over the network and on a medium.
CREATE INDEX events_by_sent_id ON events (device, json_extract(data, '$.id'))
    WHERE kind = 'device_report' AND data IS NOT NULL;
