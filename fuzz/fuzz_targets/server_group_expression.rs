//! Expressions of groups, and tables of the tags that they ask for.
#![no_main]
use updraft_server_service::fleet::ota::expression::{Expression, MAX_LENGTH, Tags};
use updraft_server_service::fleet::ota::tags_table;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(table) = tags_table::parse(data) {
        assert!(table.values().flatten().all(|(_, value)| !value.is_empty()));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(rule) = Expression::parse(text) else { return };
    let tags = Tags::from([("a".to_owned(), "Abc".to_owned())]);
    let holds = rule.holds("vehicle-1", &tags);
    let written = rule.to_string();
    if written.len() <= MAX_LENGTH {
        let again = Expression::parse(&written);
        assert_eq!(again.as_ref(), Ok(&rule), "{written}");
        assert_eq!(again.map(|rule| rule.holds("vehicle-1", &tags)), Ok(holds));
    }
    let mut renamed = rule.clone();
    if !renamed.rename_tag("a", "b") {
        assert_eq!(renamed, rule);
    }
});
