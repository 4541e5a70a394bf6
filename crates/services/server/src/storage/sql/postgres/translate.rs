//! From the SQL of both databases to PostgreSQL's.

/// A statement with PostgreSQL's parameters (`$1` for `?1`) and its word for a `LIKE` that, as
/// SQLite's does, takes no heed of case. Nothing inside quotes is touched.
pub(super) fn statement(sql: &str) -> String {
    let mut translated = String::with_capacity(sql.len() + 16);
    let mut quote = None;
    let mut rest = sql;
    while let Some(character) = rest.chars().next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(begun), ending) if begun == ending => quote = None,
            (None, '?') => {
                translated.push('$');
                rest = &rest[1..];
                continue;
            }
            (None, 'L') if rest.starts_with("LIKE ") && translated.ends_with([' ', '\n']) => {
                translated.push_str("ILIKE");
                rest = &rest["LIKE".len()..];
                continue;
            }
            _ => {}
        }
        translated.push(character);
        rest = &rest[character.len_utf8()..];
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::statement;

    #[test]
    fn parameters_and_words_outside_of_quotes_are_translated() {
        assert_eq!(
            statement(
                "SELECT a FROM b WHERE c = ?1 AND d LIKE ?12 ESCAPE '\\' AND e != '?1 LIKE x'"
            ),
            "SELECT a FROM b WHERE c = $1 AND d ILIKE $12 ESCAPE '\\' AND e != '?1 LIKE x'"
        );
        assert_eq!(
            statement("SELECT \"user?\", 'it''s ?1', ?1"),
            "SELECT \"user?\", 'it''s ?1', $1"
        );
    }
}
