-- Of several in one transaction one is sent, when it is committed.
CREATE FUNCTION tell_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY updraft_events;
    RETURN NULL;
END $$;
CREATE TRIGGER events_are_told AFTER INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_events();
