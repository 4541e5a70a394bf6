//! Making a commit from folders, tar streams and other commits.
