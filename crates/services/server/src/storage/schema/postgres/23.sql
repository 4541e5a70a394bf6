CREATE TABLE guesses (
    sort text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (sort, subject)
);
CREATE INDEX guesses_by_age ON guesses (sort, last);
