//! The order in which resources are made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Index;

use serde_json::Value;

use super::resolve::{Known, Resolver};
use super::{Active, LoadError};

/// Entries by name, listed in the order in which they came.
#[derive(Debug)]
pub struct Ordered<T> {
    order: Vec<String>,
    entries: BTreeMap<String, T>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { order: Vec::new(), entries: BTreeMap::new() }
    }
}

impl<T> Ordered<T> {
    /// Adds an entry; the names of one JSON object are unique.
    pub fn insert(&mut self, name: String, entry: T) {
        self.order.push(name.clone());
        self.entries.insert(name, entry);
    }

    /// The names and entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.order.iter().map(|name| (name, &self.entries[name]))
    }
}

impl<T> Index<&String> for Ordered<T> {
    type Output = T;

    fn index(&self, name: &String) -> &T {
        &self.entries[name]
    }
}

/// Sorts the resources so that each comes after those it needs, and tells what each needs. Resources on
/// a cycle, and those that need them, are left out and reported.
pub fn sort(
    active: &Ordered<Active>,
    known: &Known,
    errors: &mut Vec<LoadError>,
) -> (Vec<String>, BTreeMap<String, BTreeSet<String>>) {
    let mut needs = BTreeMap::new();
    for (logical_id, resource) in active.iter() {
        needs.insert(logical_id.clone(), needs_of(logical_id, resource, known, errors));
    }
    let mut order: Vec<String> = Vec::new();
    loop {
        // The first in the template that is ready, so that the order is as the reader expects it.
        let next = active.iter().map(|(logical_id, _)| logical_id).find(|logical_id| {
            !order.contains(logical_id) && needs[*logical_id].iter().all(|needed| order.contains(needed))
        });
        match next {
            Some(logical_id) => order.push(logical_id.clone()),
            None => break,
        }
    }
    if order.len() < needs.len() {
        let cycle = find_cycle(&needs, &order);
        let logical_id = cycle.first().cloned().unwrap_or_default();
        let path = format!("Resources.{logical_id}");
        let problem = format!("Circular dependency between resources: {}", cycle.join(" -> "));
        errors.push(LoadError { logical_id, path, problem });
    }
    (order, needs)
}

fn needs_of(
    logical_id: &str,
    resource: &Active,
    known: &Known,
    errors: &mut Vec<LoadError>,
) -> BTreeSet<String> {
    let mut resolver = Resolver::new(known, logical_id, format!("Resources.{logical_id}.Properties"));
    resolver.references_only = true;
    if let Some(properties) = resource.body.get("Properties") {
        // What is wrong here is found, and reported, when the resource itself is loaded.
        resolver.resolve(properties);
    }
    let mut needs = resolver.references;
    let explicit: Vec<&Value> = match resource.body.get("DependsOn") {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    };
    for one in explicit {
        match one.as_str() {
            Some(name) if known.resources.contains_key(name) => drop(needs.insert(name.to_owned())),
            Some(name) if known.unmodelled.contains(name) => {}
            Some(_) | None => errors.push(LoadError {
                logical_id: logical_id.to_owned(),
                path: format!("Resources.{logical_id}.DependsOn"),
                problem: format!("{one} is no resource with a condition that holds"),
            }),
        }
    }
    needs
}

/// One cycle among the resources that could not be ordered, ending where it begins.
fn find_cycle(needs: &BTreeMap<String, BTreeSet<String>>, ordered: &[String]) -> Vec<String> {
    let blocked = |name: &&String| !ordered.contains(name);
    let mut path: Vec<String> = needs.keys().find(blocked).cloned().into_iter().collect();
    while let Some(last) = path.last() {
        // Whatever is blocked needs something blocked, so the walk must come back to its own path.
        let Some(next) = needs[last].iter().find(blocked) else { break };
        if let Some(start) = path.iter().position(|one| one == next) {
            let next = next.clone();
            path.drain(..start);
            path.push(next);
            break;
        }
        path.push(next.clone());
    }
    path
}
