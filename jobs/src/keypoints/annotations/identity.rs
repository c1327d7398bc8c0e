//! Decides which marks belong to one object.

use std::collections::{HashMap, HashSet};

use super::super::quoting::quote;
use super::super::table::RowKey;
use super::Mark;

/// The objects of a list of marks.
#[derive(Debug)]
pub(super) struct Objects {
    /// The object of each mark.
    pub(super) of: Vec<usize>,
    /// The name of each object.
    pub(super) names: Vec<String>,
}

/// The evidence that two marks belong to one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Group(String),
    Instance(String),
    Label(String),
}

impl Objects {
    /// Finds the objects, in the order in which they first appear.
    ///
    /// # Errors
    /// Two marks on one of several images have the same label, and nothing says whether they are
    /// one animal or two.
    pub(super) fn find(marks: &[Mark]) -> Result<Self, String> {
        let is_single_row = marks
            .windows(2)
            .all(|pair| (&pair[0].row, &pair[0].video) == (&pair[1].row, &pair[1].video));
        // If all marks are on one image, several marks of a label are several objects.
        let mut of_label: HashMap<&str, HashSet<&str>> = HashMap::new();
        for mark in marks.iter().filter(|mark| is_single_row && mark.group.is_none()) {
            of_label.entry(&mark.label).or_default().extend(mark.instance.as_deref());
        }
        let is_several =
            |mark: &Mark| of_label.get(mark.label.as_str()).is_some_and(|known| known.len() > 1);
        let mut found = Self { of: Vec::with_capacity(marks.len()), names: Vec::new() };
        let mut known: HashMap<Identity, usize> = HashMap::new();
        let mut identities = Vec::new();
        let mut instances: HashMap<(&RowKey, &Option<String>, &str), &str> = HashMap::new();
        for mark in marks {
            let identity = match (&mark.group, &mark.instance) {
                (Some(group), _) => Identity::Group(group.clone()),
                (None, Some(instance)) if is_several(mark) => Identity::Instance(instance.clone()),
                (None, None) if is_several(mark) => return Err(ambiguous(mark)),
                _ => Identity::Label(mark.label.clone()),
            };
            if let (Identity::Label(_), Some(instance)) = (&identity, &mark.instance) {
                let place = (&mark.row, &mark.video, mark.label.as_str());
                if *instances.entry(place).or_insert(instance) != instance {
                    return Err(ambiguous(mark));
                }
            }
            let next = identities.len();
            let object = *known.entry(identity.clone()).or_insert(next);
            if object == next {
                identities.push((identity, Vec::new()));
            }
            let labels: &mut Vec<&str> = &mut identities[object].1;
            if labels.len() < 2 && !labels.contains(&mark.label.as_str()) {
                labels.push(&mark.label);
            }
            found.of.push(object);
        }
        let mut used: HashMap<&str, usize> = HashMap::new();
        for (_, labels) in &identities {
            if let [label] = labels.as_slice() {
                *used.entry(label).or_default() += 1;
            }
        }
        // Numbers in the file itself are not given to other objects.
        let of_groups: HashSet<String> = identities
            .iter()
            .filter_map(|(identity, labels)| match (labels.as_slice(), identity) {
                ([label], Identity::Group(id)) => Some(format!("{label} {id}").trim().to_owned()),
                _ => None,
            })
            .collect();
        let mut taken = HashSet::new();
        for (at, (identity, labels)) in identities.iter().enumerate() {
            let name = match (labels.as_slice(), identity) {
                ([label], _) if used.get(label) == Some(&1) && !label.is_empty() => {
                    (*label).to_owned()
                }
                ([label], Identity::Group(id)) => format!("{label} {id}").trim().to_owned(),
                ([label], _) => {
                    let named = |number: usize| format!("{label} {number}").trim().to_owned();
                    let is_free = |name: &String| !of_groups.contains(name);
                    (at + 1..).map(named).find(is_free).unwrap_or_default()
                }
                (_, Identity::Group(id)) => format!("group {id}"),
                _ => format!("object {}", at + 1),
            };
            let free = if taken.contains(&name) { format!("{name} ({})", at + 1) } else { name };
            taken.insert(free.clone());
            found.names.push(free);
        }
        Ok(found)
    }
}

fn ambiguous(mark: &Mark) -> String {
    format!(
        "{} has several shapes {}, and nothing says which animal is which: give each animal a label, a track or a group of its own",
        place_name(&mark.row),
        quote(&mark.label)
    )
}

/// Returns the name of a frame or image for a message.
pub(super) fn place_name(row: &RowKey) -> String {
    match row {
        RowKey::Frame(frame) => format!("frame {frame}"),
        RowKey::Image(name) => format!("image {}", quote(name)),
    }
}
