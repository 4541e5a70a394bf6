//! From RSQL to SQL. Fields become columns, values become parameters: no text of a query ever
//! becomes part of a statement.

mod fields;
mod text;

use updraft_hawkbit::{Comparison, Operator, Query};

use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::storage::sql::Value;
use fields::Sort;
use text::{Alike, alike, pattern};

/// What a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// Devices that speak DDI.
    Target,
    /// Software modules.
    Module,
    /// Distribution sets.
    Set,
    /// Actions.
    Action,
    /// Types of modules or sets.
    Type,
    /// Reports of an action.
    Report,
    /// Tags of devices or sets.
    Tag,
    /// Queries with a name.
    Filter,
    /// Sets that devices are told by themselves.
    AutoAssignment,
    /// Rollouts.
    Rollout,
    /// Devices of every protocol, as `/api/v1/devices` lists them.
    Device,
}

/// What placeholders in queries stand for, in milliseconds since 1970 (UTC).
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// `${NOW_TS}`.
    pub now: i64,
    /// `${OVERDUE_TS}`: who did not call since is overdue.
    pub overdue: i64,
}

/// A condition with its parameters, which begin with `?1`.
///
/// # Errors
/// For a field that there is not, and a value that its field cannot have.
pub fn condition(entity: Entity, query: &Query, times: Times) -> Result<(String, Vec<Value>)> {
    let mut writer = Writer { entity, times, parameters: Vec::new() };
    let condition = writer.query(query)?;
    Ok((condition, writer.parameters))
}

/// `ORDER BY` of an entity after hawkBit's `sort`: `field:ASC,other:DESC`.
///
/// # Errors
/// For a field or a direction that there is not.
pub fn order(entity: Entity, sort: Option<&str>) -> Result<String> {
    let default = entity.number();
    let Some(sort) = sort.filter(|sort| !sort.trim().is_empty()) else {
        return Ok(default.to_owned());
    };
    let wrong = |reason: String| Error::hawkbit(Trouble::Sort, reason);
    let mut order = String::new();
    for part in sort.split(',').take(8) {
        let (field, direction) = part
            .split_once(':')
            .ok_or_else(|| wrong(format!("sort must be like id:ASC, not \"{part}\"")))?;
        let direction = match direction.trim().to_ascii_uppercase().as_str() {
            "ASC" => "ASC NULLS FIRST",
            "DESC" => "DESC NULLS LAST",
            other => {
                return Err(wrong(format!("a sort direction is ASC or DESC, not \"{other}\"")));
            }
        };
        let (column, _) = entity
            .column(&field.trim().to_ascii_lowercase())
            .ok_or_else(|| wrong(format!("there is no field \"{}\"", field.trim())))?;
        order.extend([column, " ", direction, ", "]);
    }
    Ok(order + default)
}

struct Writer {
    entity: Entity,
    times: Times,
    parameters: Vec<Value>,
}

impl Writer {
    fn query(&mut self, query: &Query) -> Result<String> {
        let (parts, word) = match query {
            Query::And(parts) => (parts, " AND "),
            Query::Or(parts) => (parts, " OR "),
            Query::Compare(comparison) => return self.compare(comparison),
        };
        let parts = parts.iter().map(|part| self.query(part)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({})", parts.join(word)))
    }

    fn compare(&mut self, comparison: &Comparison) -> Result<String> {
        if let Some(tagged) = self.entity.named_many(&comparison.selector.to_ascii_lowercase()) {
            return self.compare_tags(tagged, comparison);
        }
        let operator = comparison.operator;
        let first = comparison.values.first().map(String::as_str).unwrap_or_default();
        if operator == Operator::Equal
            && let Some((noted, key)) = self.notes_of(&comparison.selector, Entity::noted)
        {
            let key = self.parameter(Value::Text(key.to_owned()));
            return Ok(format!(
                "{} AND {})",
                noted.replace('?', &key),
                self.alike("n.value", first)
            ));
        }
        let (column, sort) = self.field(&comparison.selector)?;
        Ok(match operator {
            Operator::IsNull => format!("{column} IS NULL"),
            Operator::IsNotNull => format!("{column} IS NOT NULL"),
            Operator::In | Operator::NotIn => {
                let values = comparison
                    .values
                    .iter()
                    .map(|value| self.value(sort, &comparison.selector, value))
                    .collect::<Result<Vec<_>>>()?
                    .join(", ");
                let column = folded(&column, sort);
                if operator == Operator::In {
                    format!("{column} IN ({values})")
                } else {
                    format!("({column} IS NULL OR {column} NOT IN ({values}))")
                }
            }
            Operator::Equal if sort == Sort::Text => self.alike(&column, first),
            Operator::NotEqual if sort == Sort::Text => {
                let pattern = self.parameter(Value::Text(pattern(first)));
                format!("({column} IS NULL OR NOT {column} LIKE {pattern} ESCAPE '\\')")
            }
            _ => {
                let value = self.value(sort, &comparison.selector, first)?;
                let column = folded(&column, sort);
                let sign = match operator {
                    Operator::Equal => "=",
                    Operator::NotEqual => {
                        return Ok(format!("({column} IS DISTINCT FROM {value})"));
                    }
                    Operator::Less => "<",
                    Operator::LessOrEqual => "<=",
                    Operator::Greater => ">",
                    _ => ">=",
                };
                format!("{column} {sign} {value}")
            }
        })
    }

    /// Whether a text is what a query says, asked so that an index of `lower(column)` is of use.
    fn alike(&mut self, column: &str, value: &str) -> String {
        match alike(value) {
            Alike::Is(text) => {
                format!("lower({column}) = {}", self.parameter(Value::Text(text)))
            }
            Alike::Begins(start, end) => {
                let start = self.parameter(Value::Text(start));
                let end = self.parameter(Value::Text(end));
                format!("(lower({column}) >= {start} AND lower({column}) < {end})")
            }
            Alike::Pattern(pattern) => {
                let pattern = self.parameter(Value::Text(pattern));
                format!("{column} LIKE {pattern} ESCAPE '\\'")
            }
        }
    }

    /// What the entity says of a field such as `attribute.revision`, and the key of it.
    fn notes_of<'s>(
        &self,
        selector: &'s str,
        of: impl FnOnce(Entity, &str) -> Option<&'static str>,
    ) -> Option<(&'static str, &'s str)> {
        let (kind, key) = selector.split_once('.')?;
        Some((of(self.entity, &kind.to_ascii_lowercase())?, key))
    }

    /// Of tags or groups there may be several: it is asked whether one of them is like that, or
    /// none.
    fn compare_tags(&mut self, tagged: &str, comparison: &Comparison) -> Result<String> {
        let (not, operator) = match comparison.operator {
            Operator::NotEqual => ("NOT ", Operator::Equal),
            Operator::NotIn => ("NOT ", Operator::In),
            Operator::IsNull => return Ok(format!("NOT EXISTS ({tagged})")),
            Operator::IsNotNull => return Ok(format!("EXISTS ({tagged})")),
            other => ("", other),
        };
        let entity = std::mem::replace(&mut self.entity, Entity::Tag);
        let of_tag =
            Comparison { selector: "name".to_owned(), operator, values: comparison.values.clone() };
        let condition = self.compare(&of_tag);
        self.entity = entity;
        Ok(format!("{not}EXISTS ({tagged} AND {})", condition?))
    }

    fn field(&mut self, selector: &str) -> Result<(String, Sort)> {
        let lower = selector.to_ascii_lowercase();
        if let Some((column, sort)) = self.entity.column(&lower) {
            return Ok((column.to_owned(), sort));
        }
        let Some((select, key)) = self.notes_of(selector, Entity::notes) else {
            let message = format!("there is no field \"{selector}\" to ask for");
            return Err(Error::hawkbit(Trouble::QueryField, message));
        };
        let key = self.parameter(Value::Text(key.to_owned()));
        Ok((select.replace('?', &key), Sort::Text))
    }

    fn value(&mut self, sort: Sort, selector: &str, text: &str) -> Result<String> {
        let wrong = |what: &str| {
            let message = format!("{selector} is {what}, which \"{text}\" is not");
            Error::hawkbit(Trouble::QuerySyntax, message)
        };
        let value =
            match (sort, text) {
                (Sort::Text, text) => Value::Text(text.replace("\\*", "*").to_lowercase()),
                (Sort::Number, "${NOW_TS}") => Value::Integer(self.times.now),
                (Sort::Number, "${OVERDUE_TS}") => Value::Integer(self.times.overdue),
                (Sort::Number, text) => {
                    Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?)
                }
                (Sort::Time, text) => Value::Integer(time(text, self.times).ok_or_else(|| {
                    wrong("a time, such as -7d, 2026-01-31T12:00:00Z or ${NOW_TS}")
                })?),
                (Sort::Boolean, text) => match text.to_ascii_lowercase().as_str() {
                    "true" => Value::Integer(1),
                    "false" => Value::Integer(0),
                    _ => return Err(wrong("true or false")),
                },
            };
        Ok(self.parameter(value))
    }

    fn parameter(&mut self, value: Value) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }
}

/// Text is compared without regard to case.
fn folded(column: &str, sort: Sort) -> String {
    if sort == Sort::Text { format!("lower({column})") } else { column.to_owned() }
}

/// A moment: a placeholder, a time before now (`-7d`, `-12h`, `-30m`), RFC 3339, or milliseconds.
fn time(text: &str, times: Times) -> Option<i64> {
    match text {
        "${NOW_TS}" => return Some(times.now),
        "${OVERDUE_TS}" => return Some(times.overdue),
        _ => {}
    }
    if let Some(age) = text.strip_prefix('-') {
        let (count, unit) = age.split_at_checked(age.len().checked_sub(1)?)?;
        let minutes = match unit {
            "d" => 24 * 60,
            "h" => 60,
            "m" => 1,
            _ => return None,
        };
        let age = count.parse::<u32>().ok().map(|count| i64::from(count) * minutes * 60_000)?;
        return Some(times.now.saturating_sub(age));
    }
    let moment: Option<jiff::Timestamp> = text.parse().ok();
    moment.map(jiff::Timestamp::as_millisecond).or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{Entity, Times, condition, order};
    use updraft_hawkbit::Query;

    const TIMES: Times = Times { now: 1000, overdue: 500 };

    fn written(text: &str) -> String {
        let query = Query::parse(text).expect("a query");
        match condition(Entity::Target, &query, TIMES) {
            Ok((condition, parameters)) => format!("{condition} {parameters:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn queries_become_conditions() {
        assert_eq!(
            written("controllerId==dev-*;name!='50%'"),
            "((lower(t.device) >= ?1 AND lower(t.device) < ?2) \
             AND (t.name IS NULL OR NOT t.name LIKE ?3 ESCAPE '\\')) \
             [Text(\"dev-\"), Text(\"dev.\"), Text(\"50\\\\%\")]"
        );
        assert_eq!(
            written("lastControllerRequestAt=lt=${OVERDUE_TS},createdat=in=(1,2)"),
            "(d.last_seen < ?1 OR t.created_at IN (?2, ?3)) [Integer(500), Integer(1), Integer(2)]"
        );
        assert_eq!(
            written("attribute.Rev=ge=B"),
            "lower((SELECT n.value FROM device_attributes n WHERE n.device = t.device \
             AND n.key = ?1)) >= ?2 [Text(\"Rev\"), Text(\"b\")]"
        );
        assert_eq!(
            written("attribute.Rev==B*"),
            "t.device IN (SELECT n.device FROM device_attributes n WHERE n.key = ?1 \
             AND (lower(n.value) >= ?2 AND lower(n.value) < ?3)) \
             [Text(\"Rev\"), Text(\"b\"), Text(\"c\")]"
        );
    }

    fn of_devices(text: &str) -> String {
        let query = Query::parse(text).expect("a query");
        match condition(Entity::Device, &query, TIMES) {
            Ok((condition, parameters)) => format!("{condition} {parameters:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn times_are_said_in_several_ways() {
        for (said, is) in
            [("-1m", -59_000), ("1970-01-01T00:00:02Z", 2000), ("${OVERDUE_TS}", 500), ("77", 77)]
        {
            let written = of_devices(&format!("last_seen=lt=\"{said}\""));
            assert_eq!(written, format!("d.last_seen < ?1 [Integer({is})]"));
        }
        for wrong in ["yesterday", "-", "-d", "-99999999999d", "-5é"] {
            let written = of_devices(&format!("last_seen=lt=\"{wrong}\""));
            assert!(written.contains("a time, such as -7d"), "{wrong}: {written}");
        }
    }

    #[test]
    fn devices_are_asked_for_by_group_and_tag() {
        assert_eq!(
            of_devices("group!=lab;tag.site==oslo"),
            "(NOT EXISTS (SELECT 1 FROM (SELECT group_name AS name, device FROM group_devices) g \
             WHERE g.device = d.id AND lower(g.name) = ?1) AND \
             lower((SELECT n.value FROM device_tags n WHERE n.device = d.id AND n.tag = ?2)) \
             = ?3) [Text(\"lab\"), Text(\"site\"), Text(\"oslo\")]"
        );
        assert!(of_devices("certificate==1").contains("there is no field"));
    }

    #[test]
    fn one_tag_of_several_is_asked_for() {
        assert_eq!(
            written("tag==beta*;tag!=old"),
            "(EXISTS (SELECT 1 FROM action_device_tags gt JOIN tags g ON g.id = gt.tag \
             WHERE gt.device = t.device AND (lower(g.name) >= ?1 AND lower(g.name) < ?2)) AND \
             NOT EXISTS (SELECT 1 FROM action_device_tags gt JOIN tags g ON g.id = gt.tag \
             WHERE gt.device = t.device AND lower(g.name) = ?3)) \
             [Text(\"beta\"), Text(\"betb\"), Text(\"old\")]"
        );
    }

    #[test]
    fn what_a_query_says_never_becomes_sql() {
        let text = "name==\"x' OR 1=1 --\";attribute.a'b==1";
        // The selector cannot even be written.
        assert!(Query::parse(text).is_err());
        assert_eq!(
            written("name==\"x' OR 1=1 --\""),
            "lower(t.name) = ?1 [Text(\"x' or 1=1 --\")]"
        );
        assert!(written("security_token==1").contains("there is no field"));
        assert!(order(Entity::Target, Some("name;DROP TABLE devices:ASC")).is_err());
        assert!(order(Entity::Target, Some("name:SIDEWAYS")).is_err());
        let order = order(Entity::Action, Some("id:DESC")).expect("an order");
        assert_eq!(order, "a.id DESC NULLS LAST, a.id");
    }
}
