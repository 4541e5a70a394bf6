-- Small files that change, where content lies in a bucket: metadata of the Image repository, branches
-- and lists of the OSTree repository. What belongs together changes in one transaction.
CREATE TABLE documents (
    folder  TEXT NOT NULL,
    path    TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
