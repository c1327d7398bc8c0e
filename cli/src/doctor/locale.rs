//! The locale, which determines how the terminal shows file names.

use super::Finding;

/// Checks the locale. Reads environment variables through `variable`.
pub fn check(variable: impl Fn(&str) -> Option<String>) -> Finding {
    const SUBJECT: &str = "locale";
    // The first variable that is set counts, as in the C library.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| variable(name))
        .find(|value| !value.is_empty());
    match locale {
        // ASCII text is shown correctly in any locale, and numbers always use a decimal point.
        None => Finding::ok(SUBJECT, "none set"),
        Some(locale) if matches!(locale.as_str(), "C" | "POSIX") => Finding::ok(SUBJECT, locale),
        Some(locale) if locale.to_lowercase().replace('-', "").contains("utf8") => {
            Finding::ok(SUBJECT, locale)
        }
        Some(locale) => Finding::warning(
            SUBJECT,
            format!("{locale} is not UTF-8: names of files may be shown wrongly"),
            "export LANG=C.UTF-8",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn only_another_encoding_is_worth_a_warning() {
        let health = |pairs: &'static [(&str, &str)]| {
            check(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
                .health
        };
        assert_eq!(health(&[]), Health::Ok);
        assert_eq!(health(&[("LANG", "de_AT.UTF-8")]), Health::Ok);
        assert_eq!(health(&[("LANG", "de_AT.UTF-8"), ("LC_ALL", "C")]), Health::Ok);
        assert_eq!(health(&[("LC_ALL", ""), ("LANG", "de_AT.ISO-8859-1")]), Health::Warning);
    }
}
