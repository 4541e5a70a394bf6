-- Failures of passwords and codes, by account, address or both, and from where accounts were logged
-- in to: all servers count together. Times are seconds since 1970.
CREATE TABLE guesses (
    sort    TEXT NOT NULL,
    subject TEXT NOT NULL,
    count   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (sort, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX guesses_by_age ON guesses (sort, last);
