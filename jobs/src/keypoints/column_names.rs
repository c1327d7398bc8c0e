//! Reads the column names of a pandas frame in PyTables' table format.
//!
//! They are an attribute: a Python list of tuples of texts, pickled with protocol 0, which PyTables
//! writes under every version of Python. This reader supports just that: lists, tuples,
//! dictionaries, texts, numbers and None. It never calls or imports anything.

/// Largest number of letters that the names of all columns have together.
const MOST_TEXT: usize = 16 << 20;
/// Largest number of levels of a column's name.
const MOST_LEVELS: usize = 8;

/// A value. Its items are positions in the arena, so that a value that is mentioned many times is
/// not copied.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Sequence(Vec<usize>),
    Other,
}

/// Returns the names of this many columns from a pickle, each as a list of levels: the first list
/// of this many tuples of texts.
///
/// # Errors
/// The text is not a pickle of pandas, or has no list of this many names.
pub(super) fn read(pickle: &str, columns: usize) -> Result<Vec<Vec<String>>, String> {
    let arena =
        Arena::load(pickle).ok_or("the names of its columns are not pickled as pandas does it")?;
    let lists = arena.values.iter().filter_map(|value| match value {
        Value::Sequence(items) => Some(items),
        _ => None,
    });
    let mut longest = 0;
    // A text can be mentioned by every tuple, and a tuple by every list, so the total size is
    // bounded.
    let mut left = MOST_TEXT;
    for items in lists {
        let names: Option<Vec<Vec<String>>> = match items.len() == columns {
            true => items.iter().map(|&item| arena.levels(item, &mut left)).collect(),
            false => None,
        };
        if let Some(names) = names {
            return Ok(names);
        }
        let first = items.first().and_then(|&item| arena.values.get(item));
        if matches!(first, Some(Value::Sequence(_))) {
            longest = longest.max(items.len());
        }
    }
    Err(match longest < columns {
        true => format!("it stores {columns} columns, but names {longest} at most"),
        false => format!("it does not name its {columns} columns, or too long"),
    })
}

#[derive(Default)]
struct Arena {
    values: Vec<Value>,
}

impl Arena {
    /// Returns the texts of a tuple.
    fn levels(&self, item: usize, left: &mut usize) -> Option<Vec<String>> {
        let Value::Sequence(items) = self.values.get(item)? else { return None };
        let text = |&item: &usize| match self.values.get(item)? {
            Value::Text(text) => {
                *left = left.checked_sub(text.len() + size_of::<String>())?;
                Some(text.clone())
            }
            _ => None,
        };
        items.iter().take(MOST_LEVELS + 1).map(text).collect()
    }

    fn push(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len() - 1
    }

    /// Runs the pickle. Returns `None` if it holds anything that is not supported.
    fn load(pickle: &str) -> Option<Self> {
        let mut arena = Self::default();
        let (mut stack, mut marks) = (Vec::<usize>::new(), Vec::<usize>::new());
        let mut memo = std::collections::HashMap::<String, usize>::new();
        let mut rest = pickle;
        loop {
            let operation = rest.chars().next()?;
            rest = &rest[operation.len_utf8()..];
            // The argument of an operation that has one: the rest of the line.
            let mut line = || -> Option<&str> {
                let (line, after) = rest.split_once('\n')?;
                rest = after;
                Some(line)
            };
            match operation {
                '.' => return Some(arena),
                '(' => marks.push(stack.len()),
                'V' => stack.push(arena.push(Value::Text(unescape(line()?)?))),
                'S' => {
                    let text = line()?;
                    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
                    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
                    stack.push(arena.push(Value::Text(unescape(inner)?)));
                }
                'I' | 'L' | 'F' => {
                    line()?;
                    stack.push(arena.push(Value::Other));
                }
                'N' => stack.push(arena.push(Value::Other)),
                'p' => {
                    memo.insert(line()?.to_owned(), *stack.last()?);
                }
                'g' => stack.push(*memo.get(line()?)?),
                'l' | 't' | 'd' => {
                    let from = marks.pop().filter(|&mark| mark <= stack.len())?;
                    let items = stack.split_off(from);
                    let is_dictionary = operation == 'd';
                    let value = if is_dictionary { Value::Other } else { Value::Sequence(items) };
                    stack.push(arena.push(value));
                }
                'a' => {
                    let item = stack.pop()?;
                    match arena.values.get_mut(*stack.last()?)? {
                        Value::Sequence(items) => items.push(item),
                        _ => return None,
                    }
                }
                's' => stack.truncate(stack.len().checked_sub(2)?),
                _ => return None,
            }
        }
    }
}

/// Decodes `\u00e9`, `\U0001f42d`, `\xe9`, `\\`, `\'` and `
/// `.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        let digits = match letters.next()? {
            'u' => 4,
            'U' => 8,
            'x' => 2,
            'n' => {
                out.push('\n');
                continue;
            }
            other => {
                out.push(other);
                continue;
            }
        };
        let code: String = letters.by_ref().take(digits).collect();
        out.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_columns_of_a_frame() {
        // Python: pickle.dumps([(1, [('n', 'snout', 'x'), ('n', 'snout', 'y')])], 0)
        let pickle =
            "(lp0\n(I1\n(lp1\n(Vn\np2\nVsnout\np3\nVx\np4\ntp5\na(g2\ng3\nVy\np6\ntp7\natp8\na.";
        assert_eq!(read(pickle, 2).unwrap(), [["n", "snout", "x"], ["n", "snout", "y"]]);
        let message = read(pickle, 3).unwrap_err();
        assert!(message.contains("3 columns") && message.contains("names 2"), "{message}");
    }

    #[test]
    fn letters_beyond_ascii_and_python_2() {
        let pickle = "(lp0\n(Vschw\\u00e4nz\\u005c\np1\nS'x'\np2\ntp3\na.";
        assert_eq!(read(pickle, 1).unwrap(), [["schwänz\\", "x"]]);
    }

    #[test]
    fn a_pickle_that_would_do_something_is_refused() {
        assert!(read("cos\nsystem\n(S'true'\ntR.", 1).is_err());
    }

    #[test]
    fn mentions_of_mentions_do_not_multiply() {
        let mut pickle = "(lp0\nVx\np1\na".to_owned();
        for level in 0..10_000 {
            pickle.push_str(&format!("(g{level}\ng{level}\nlp{}\n", level + 1));
        }
        let _ = read(&(pickle + "."), 2);
    }

    #[test]
    fn a_long_name_that_every_column_has_is_refused() {
        let columns = 10_000;
        let mut pickle = format!("(lp0\n(V{}\np1\ntp2\na", "x".repeat(1 << 16));
        pickle.push_str(&"g2\na".repeat(columns - 1));
        assert!(read(&(pickle + "."), columns).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(pickle in "[(lpgVSIaNtds.0-9\n'\\\\ux]{0,80}") {
            let _ = read(&pickle, 1);
        }
    }
}
