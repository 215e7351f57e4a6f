//! "Did you mean": the nearest of the words that would have been right.

/// The candidate that `word` most likely was meant to be, if any is near enough: a typo or two, whatever the case.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const WORD_MAX: usize = 100;
    if word.len() > WORD_MAX {
        return None;
    }
    let folded = word.to_lowercase();
    let allowed = (word.chars().count() / 4).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Rows of the usual table: the one before the last is needed for swaps.
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let swapped: usize = before_last[j - 2];
                least = least.min(swapped + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_finds_none() {
        let words = ["listen-port", "bind-address", "backlog"];

        assert_eq!(nearest("listen-prot", words), Some("listen-port"));
        assert_eq!(nearest("Backlog", words), Some("backlog"));
        assert_eq!(nearest("bindaddress", words), Some("bind-address"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
    }
}
