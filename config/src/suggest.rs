//! Suggestions for mistyped words: the known word at the smallest edit
//! distance.

use strsim::osa_distance;

/// The known word nearest to `word`, compared without case, if it is near
/// enough to be a typing error: at most one edit per three characters, and at
/// least one. Of equally near words the first.
///
/// An edit is an insertion, a deletion, a replacement or a swap of neighbors
/// (optimal string alignment). Only the first 100 characters are compared, which
/// bounds the time for any input.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = |text: &str| {
        text.chars()
            .take(100)
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let word = lower(word);
    let limit = (word.chars().count() / 3).max(1);
    let distances = known
        .into_iter()
        .map(|candidate| (osa_distance(&word, &lower(candidate)), candidate));
    distances
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "…"?` with the nearest known word; empty if none is near.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(candidate) => format!("did you mean {candidate:?}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["timezone", "currency", "name"];
        assert_eq!(nearest("timezon", known), Some("timezone"));
        assert_eq!(nearest("tiemzone", known), Some("timezone"));
        assert_eq!(nearest("TimeZone", known), Some("timezone"));
        assert_eq!(nearest("nme", known), Some("name"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn a_swap_is_one_edit_and_the_first_of_equals_wins() {
        assert_eq!(nearest("ab", ["ba"]), Some("ba"));
        assert_eq!(nearest("abc", ["abx", "aby"]), Some("abx"));
        assert_eq!(nearest("sitting", ["kitten"]), None);
    }
}
