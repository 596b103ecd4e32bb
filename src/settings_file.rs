//! Changes settings in a configuration file and leaves the rest of it, comments included, as it is.

use std::fs;
use std::path::Path;

use drill::tune::{Setting, Value};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value as TomlValue};
use workflow::config::BreakerConfig;

use crate::problem::{Problem, Refusal};

/// Puts settings of a circuit into the file.
///
/// # Errors
/// A file that cannot be read or written, or that would not be accepted afterwards; it is then left as it was.
pub fn write(path: &Path, circuit: &str, settings: &[Setting]) -> Result<(), Refusal> {
    let shown = path.display();
    let cannot = |what: &str, error: &dyn std::error::Error| {
        Problem::caused(format!("{shown} cannot be {what}"), error)
    };
    let text = fs::read_to_string(path).map_err(|error| cannot("read", &error))?;
    let changed = changed(&text, circuit, settings)
        .ok_or_else(|| Problem::error(format!("{shown} has no table for the circuit {circuit}")))?;
    let config = BreakerConfig::from_toml(&changed)
        .map_err(|findings| Refusal(findings.0.iter().map(Problem::from).collect()))?;
    let findings = config.validate();
    if !findings.is_usable() {
        return Err(Refusal(findings.refusing().map(Problem::from).collect()));
    }
    fs::write(path, changed).map_err(|error| cannot("written", &error))?;
    Ok(())
}

/// The text with the settings in it.
fn changed(text: &str, circuit: &str, settings: &[Setting]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    // What stands behind the last key belongs to its table. A table that is added goes behind it.
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let own = document.get_mut("circuits")?.get_mut(circuit)?.as_table_like_mut()?;
    let mut added = None;
    for Setting { path: (table, key), value } in settings {
        if own.get(table).is_none() {
            own.insert(table, Item::Table(Table::new()));
            added = added.or(Some(*table));
        }
        set(own.get_mut(table)?.as_table_like_mut()?, key, *value);
    }
    let text = document.to_string();
    let Some(added) = added.filter(|_| !trailing.trim().is_empty()) else { return Some(text) };
    let header = format!("[circuits.{circuit}.{added}]");
    let is_last = text.lines().skip_while(|line| *line != header).skip(1).all(|line| {
        let other = line.starts_with('[') && !line.starts_with(&format!("[circuits.{circuit}."));
        !other
    });
    if is_last {
        let table = document.get_mut("circuits")?.get_mut(circuit)?.get_mut(added)?.as_table_mut()?;
        table.decor_mut().set_prefix(format!("{trailing}\n"));
        document.set_trailing("");
    }
    Some(document.to_string())
}

/// Sets a value, and keeps the comment behind the one that was there.
fn set(table: &mut dyn TableLike, key: &str, value: Value) {
    let mut value: TomlValue = match value {
        Value::Whole(number) => i64::from(number).into(),
        Value::Number(number) => number.into(),
    };
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(before) => {
            *value.decor_mut() = before.decor().clone();
            *before = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_order_stay() {
        let text = "# ours\n[circuits.orders.alarm]\nperiod_s = 60 # a minute\n\n[circuits.orders.close]\n# limited_watch_s = 240\n";
        let settings = [
            Setting { path: ("alarm", "period_s"), value: Value::Whole(120) },
            Setting { path: ("alarm", "failure_percent"), value: Value::Number(25.0) },
            Setting { path: ("backoff", "cap_s"), value: Value::Whole(90) },
        ];
        let expected = "# ours\n[circuits.orders.alarm]\nperiod_s = 120 # a minute\nfailure_percent = 25.0\n\n\
                        [circuits.orders.close]\n# limited_watch_s = 240\n\n[circuits.orders.backoff]\ncap_s = 90\n";
        assert_eq!(changed(text, "orders", &settings).as_deref(), Some(expected));
        assert_eq!(changed(text, "others", &settings), None);
    }
}
