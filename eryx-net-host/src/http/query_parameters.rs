//! The names of the parameters in a query, for the places of placeholders.

use std::ops::Range;

/// The parameters of a query, read once from its start to its end.
pub(super) struct QueryParameters<'a> {
    query: &'a [u8],
    /// The bytes of the parameter that was read last.
    current: Range<usize>,
    /// The length of its name. `None`: it is a name only.
    name: Option<usize>,
    /// How many bytes have been searched, for a test that bounds the work.
    #[cfg(test)]
    searched: usize,
}

impl<'a> QueryParameters<'a> {
    pub(super) fn new(query: &'a [u8]) -> Self {
        let mut this = Self {
            query,
            current: 0..0,
            name: None,
            #[cfg(test)]
            searched: 0,
        };
        this.read(0);
        this
    }

    fn read(&mut self, start: usize) {
        let rest = &self.query[start..];
        let length = rest.iter().position(|&byte| byte == b'&');
        let length = length.unwrap_or(rest.len());
        self.current = start..start + length;
        self.name = rest[..length].iter().position(|&byte| byte == b'=');
        #[cfg(test)]
        {
            // Up to the separator, and up to the end of the name.
            self.searched += length + 1 + self.name.unwrap_or(length);
        }
    }

    /// Returns the name of the parameter whose value has the byte at `at`; `None` for a byte of a
    /// name. `at` must not be less than before, nor outside of the query.
    pub(super) fn name_at(&mut self, at: usize) -> Option<&'a [u8]> {
        while self.current.end < at {
            self.read(self.current.end + 1);
        }
        let start = self.current.start;
        let end = start + self.name?;
        (end < at).then(|| &self.query[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::QueryParameters;

    /// Returns the name for every byte of a query.
    fn names(query: &str) -> Vec<&str> {
        let mut parameters = QueryParameters::new(query.as_bytes());
        let names = (0..query.len()).map(|at| parameters.name_at(at));
        names
            .map(|name| std::str::from_utf8(name.unwrap_or(b"-")).unwrap())
            .collect()
    }

    #[test]
    fn a_byte_of_a_value_has_the_name_of_its_parameter() {
        assert_eq!(names("a=1&bc=2"), ["-", "-", "a", "a", "-", "-", "-", "bc"]);
        assert_eq!(names("a=b=c"), ["-", "-", "a", "a", "a"]);
        assert_eq!(names("=x&&y&z=1")[1..2], [""]);
        assert_eq!(names("=x&&y&z=1")[3..], ["-", "-", "-", "-", "-", "z"]);
        assert_eq!(names("y"), ["-"]);
    }

    #[test]
    fn every_byte_is_searched_at_most_twice_however_many_places_are_asked_for() {
        for query in [
            "a=1&".repeat(10_000),
            "a".repeat(40_000),
            "&".repeat(40_000),
        ] {
            let mut parameters = QueryParameters::new(query.as_bytes());
            for at in 0..query.len() {
                parameters.name_at(at);
            }
            assert!(parameters.searched <= 2 * (query.len() + 1));
        }
    }
}
