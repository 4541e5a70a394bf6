-- Which report of its action it is, from 1; none where an older server wrote it.
ALTER TABLE action_statuses ADD COLUMN number INTEGER;

-- For lists of devices by a text, which regard no case.
DROP INDEX device_attributes_by_key;
CREATE INDEX device_attributes_by_value ON device_attributes (key, lower(value), device);
CREATE INDEX action_devices_by_name ON action_devices (lower(name));
CREATE INDEX action_devices_by_lower_id ON action_devices (lower(device));
CREATE INDEX action_devices_by_status ON action_devices (lower(update_status));
CREATE INDEX devices_by_lower_id ON devices (lower(id));
