//! "did you mean": the one judgement of what a misspelt word was meant to be.

/// Words less similar than this are not suggested. clap uses the same measure and the same bound
/// for options, commands and its own lists of values.
const ALIKE: f64 = 0.7;

/// Returns the most similar of the known words, or `None` if none is similar. Capital and small
/// letters count as equal.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|other| (strsim::jaro(&word, &other.to_lowercase()), other))
        .filter(|(similarity, _)| *similarity > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

/// Returns `: did you mean 'batch-size'?` for the end of a message, or nothing if no known word is
/// similar.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, known).map_or_else(String::new, did_you_mean)
}

/// Returns `: did you mean 'batch-size'?`, for the end of a message.
pub fn did_you_mean(meant: &str) -> String {
    format!(": did you mean '{meant}'?")
}

/// Returns what a value that may have parts after colons was meant to be: `cuda:1` for `cduda:1`,
/// and `per-frame:minmax` for `per-frame:minmx`. Returns `None` if its words are known, or if no
/// known word is similar.
pub fn value_meant(typed: &str, known: &[&str]) -> Option<String> {
    let (head, rest) = typed.split_at(typed.find(':').unwrap_or(typed.len()));
    let heads = known.iter().filter_map(|word| word.split(':').next());
    if !heads.clone().any(|known| known == head) {
        return closest(head, heads).map(|meant| format!("{meant}{rest}"));
    }
    // Numbers in the known values are examples, not words.
    let is_word = |tail: &&str| tail.starts_with(|first: char| first.is_alphabetic());
    let tails = known.iter().filter_map(|word| word.strip_prefix(head)?.strip_prefix(':'));
    let known: Vec<&str> = tails.filter(is_word).collect();
    let meant = value_meant(rest.strip_prefix(':')?, &known)?;
    Some(format!("{head}:{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_word_is_suggested_if_any_is_similar() {
        let known = ["tiny", "small", "base-plus", "large", "large-2.0"];
        for (typed, meant) in [
            ("lareg", Some("large")),
            ("Large", Some("large")),
            ("lareg-2.0", Some("large-2.0")),
            ("bse-plus", Some("base-plus")),
            ("huge", None),
            ("", None),
        ] {
            assert_eq!(closest(typed, known), meant, "{typed}");
        }
        assert_eq!(suggestion("smal", known), ": did you mean 'small'?");
        assert_eq!(suggestion("xxx", known), "");
    }

    #[test]
    fn parts_after_a_colon_are_kept_or_judged_by_themselves() {
        let known = [
            "auto",
            "cuda",
            "every:20",
            "percentile:1,99",
            "per-frame:minmax",
            "per-frame:percentile:1,99",
        ];
        for (typed, meant) in [
            ("cduda", Some("cuda")),
            ("cduda:1", Some("cuda:1")),
            ("evry:7", Some("every:7")),
            ("per-frame:minmx", Some("per-frame:minmax")),
            ("perframe:minmax", Some("per-frame:minmax")),
            ("per-frame:percentil:2,98", Some("per-frame:percentile:2,98")),
            // The words are right, the numbers are not.
            ("cuda:x", None),
            ("every:0", None),
            ("percentile:99,1", None),
            ("toaster", None),
        ] {
            assert_eq!(value_meant(typed, &known).as_deref(), meant, "{typed}");
        }
    }
}
