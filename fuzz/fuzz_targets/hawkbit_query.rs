//! RSQL: what was read keeps its promises, and becomes a condition in which nothing of it stands but
//! parameters.
#![no_main]
use updraft_hawkbit::{Operator, PollingTime, Query};
use updraft_server_service::storage::hawkbit::filter::{Entity, Times, condition, order};

const TIMES: Times = Times { now: 2, overdue: 1 };

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = PollingTime::parse(text);
    for entity in [Entity::Target, Entity::Action, Entity::AutoAssignment] {
        let _ = order(entity, Some(text));
    }
    let Ok(query) = Query::parse(text) else { return };
    check_shape(&query);
    for entity in [Entity::Target, Entity::Device, Entity::Set, Entity::AutoAssignment] {
        let Ok((sql, parameters)) = condition(entity, &query, TIMES) else { continue };
        assert!(!sql.contains(';') && !sql.contains("--") && !sql.contains("/*"), "{sql}");
        assert_eq!(sql.matches('(').count(), sql.matches(')').count(), "{sql}");
        // Each parameter has its place, and each place its parameter.
        let places = (1..=parameters.len() + 1).map(|number| is_place(&sql, number));
        let used = places.take_while(|used| *used).count();
        assert_eq!(used, parameters.len(), "{sql}");
    }
});

fn is_place(sql: &str, number: usize) -> bool {
    let place = format!("?{number}");
    sql.match_indices(&place).any(|(at, _)| {
        !sql[at + place.len()..].starts_with(|next: char| next.is_ascii_digit())
    })
}

fn check_shape(query: &Query) {
    match query {
        Query::And(parts) | Query::Or(parts) => {
            assert!(parts.len() > 1);
            parts.iter().for_each(check_shape);
        }
        Query::Compare(one) => {
            assert!(!one.selector.is_empty());
            let is_list = matches!(one.operator, Operator::In | Operator::NotIn);
            assert!(if is_list { !one.values.is_empty() } else { one.values.len() == 1 });
        }
    }
}
