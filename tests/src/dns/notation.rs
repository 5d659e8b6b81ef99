//! The notation of policy vectors: cases of "may a guest connect to this?", one a line.
//!
//! A line has three columns, separated by tabs: the input, `allow` or `deny`, and the reason. The
//! input is the inside of a JSON string. Without `=>` it is what the guest passes as the host;
//! otherwise it also scripts the name server:
//!
//! | Input | Meaning |
//! |---|---|
//! | `name=>a,b` | `name` has these addresses |
//! | `name=>` | `name` does not exist |
//! | `name=>a\|b` | the first lookup finds `a`, the second one `b` |
//! | `name~>alias=>a` | `name` is a CNAME for `alias`, which has the address |
//! | `2:name=>a\|b` | the verdict is that of the second connect |

use std::net::IpAddr;

use super::script::{Answer, Script};

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The input as the file has it; names the case in a failure.
    pub input: String,
    /// What the guest passes as the host.
    pub host: String,
    /// The CNAME hops between the host and its addresses, in order.
    pub aliases: Vec<String>,
    /// What each lookup finds, the last repeated; an empty one finds that the name does not exist.
    pub lookups: Vec<Vec<IpAddr>>,
    /// Which connect the verdict is about, counted from 1.
    pub connect: u32,
    /// Whether it is to be allowed.
    pub allow: bool,
    /// Why.
    pub why: String,
}

impl Vector {
    /// Reads one line.
    ///
    /// ```
    /// use eryx_testkit::dns::notation::Vector;
    ///
    /// let case = Vector::parse("2:ttl0.test=>1.1.1.1|10.0.0.5\tdeny\tTTL 0 rebinding")?;
    /// assert_eq!((case.host.as_str(), case.connect, case.allow), ("ttl0.test", 2, false));
    /// assert_eq!(case.lookups.len(), 2);
    /// # Ok::<(), eryx_testkit::dns::notation::NotationError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Says what in which line is not in the notation.
    pub fn parse(line: &str) -> Result<Self, NotationError> {
        let error = |problem| NotationError {
            line: line.to_owned(),
            problem,
        };
        let mut columns = line.splitn(3, '\t');
        let (Some(input), Some(verdict), Some(why)) =
            (columns.next(), columns.next(), columns.next())
        else {
            return Err(error("there are three columns, separated by tabs"));
        };
        let allow = match verdict {
            "allow" => true,
            "deny" => false,
            _ => return Err(error("the second column is `allow` or `deny`")),
        };
        let decoded: String = serde_json::from_str(&format!("\"{input}\""))
            .map_err(|_| error("the first column is the inside of a JSON string"))?;
        let mut vector = Self {
            input: input.to_owned(),
            host: decoded.clone(),
            aliases: Vec::new(),
            lookups: Vec::new(),
            connect: 1,
            allow,
            why: why.to_owned(),
        };
        if let Some((names, found)) = decoded.split_once("=>") {
            vector.script_names(names);
            vector.lookups = found
                .split('|')
                .map(addresses)
                .collect::<Option<_>>()
                .ok_or_else(|| error("what follows `=>` are addresses, `,` and `|`"))?;
        }
        Ok(vector)
    }

    /// Reads a whole file, in which the first line is the heading.
    ///
    /// # Errors
    ///
    /// Those of the first line that is not in the notation.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, NotationError> {
        let lines = text.lines().skip(1).filter(|line| !line.is_empty());
        lines.map(Self::parse).collect()
    }

    /// The script that makes a name server play this case. Nothing in it may be cached.
    #[must_use]
    pub fn script(&self) -> Script {
        let mut script = Script::new();
        let mut name = &self.host;
        for alias in &self.aliases {
            script = script.answer(name, Answer::alias(alias));
            name = alias;
        }
        for found in &self.lookups {
            let answer = if found.is_empty() {
                Answer::NameError
            } else {
                Answer::from_ips(found.iter().copied())
            };
            script = script.answer(name, answer);
        }
        script
    }

    fn script_names(&mut self, names: &str) {
        let names = match names
            .split_once(':')
            .map(|(count, rest)| (count.parse(), rest))
        {
            Some((Ok(connect), rest)) => {
                self.connect = connect;
                rest
            }
            _ => names,
        };
        let mut hops = names.split("~>").map(str::to_owned);
        self.host = hops.next().unwrap_or_default();
        self.aliases = hops.collect();
    }
}

/// A line that is not in the notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: `{line}`")]
pub struct NotationError {
    line: String,
    problem: &'static str,
}

fn addresses(list: &str) -> Option<Vec<IpAddr>> {
    list.split(',')
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(input: &str) -> Vector {
        Vector::parse(&format!("{input}\tdeny\twhy")).unwrap()
    }

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_bare_input_is_the_host_untouched() {
        for (input, host) in [
            (" 127.0.0.1", " 127.0.0.1"),
            ("127.0.0.1 ", "127.0.0.1 "),
            (r"127.0.0.1\t", "127.0.0.1\t"),
            (r"127.0.0.1\u0000.example.com", "127.0.0.1\0.example.com"),
            (r"example.com\\@127.0.0.1", r"example.com\@127.0.0.1"),
            (r"local\u200bhost", "local\u{200b}host"),
            ("1.1.1.1:80", "1.1.1.1:80"),
            ("::1", "::1"),
        ] {
            let vector = parse(input);
            assert_eq!(vector.host, host);
            assert_eq!(
                (vector.connect, vector.lookups.len(), vector.aliases.len()),
                (1, 0, 0)
            );
        }
    }

    #[test]
    fn the_second_connect_sees_the_second_answer() {
        let vector = parse("2:r.test=>2606:4700:4700::1111|fd00:ec2::254,10.0.0.1");
        assert_eq!((vector.host.as_str(), vector.connect), ("r.test", 2));
        assert_eq!(
            vector.lookups,
            [
                ips(&["2606:4700:4700::1111"]),
                ips(&["fd00:ec2::254", "10.0.0.1"])
            ]
        );
    }

    #[test]
    fn hops_are_kept_in_order() {
        let vector = parse("a.test~>b.test~>c.test=>1.1.1.1");
        assert_eq!(
            (vector.host.as_str(), vector.aliases),
            ("a.test", vec!["b.test".into(), "c.test".into()])
        );
    }

    #[test]
    fn nothing_after_the_arrow_is_a_name_that_does_not_exist() {
        assert_eq!(parse("gone.test=>").lookups, [ips(&[])]);
        assert_eq!(
            parse("gone.test=>1.1.1.1|").lookups,
            [ips(&["1.1.1.1"]), ips(&[])]
        );
    }

    #[test]
    fn the_verdict_and_the_reason_are_read() {
        let vector = Vector::parse("a.test=>1.1.1.1\tallow\tpublic\tspace").unwrap();
        assert!(vector.allow);
        assert_eq!(vector.why, "public\tspace");
    }

    #[test]
    fn a_file_starts_with_a_heading() {
        let vectors =
            Vector::parse_file("input\texpected\twhy\na\tallow\tx\nb\tdeny\ty\n").unwrap();
        assert_eq!(
            vectors
                .iter()
                .map(|vector| &vector.host)
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
    }

    #[test]
    fn a_line_outside_the_notation_is_refused_with_the_reason() {
        for (line, problem) in [
            ("a\tallow", "three columns"),
            ("a\tmaybe\twhy", "`allow` or `deny`"),
            ("a\"\tallow\twhy", "JSON"),
            ("a=>b.test\tallow\twhy", "addresses"),
        ] {
            let error = Vector::parse(line).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(line), "{error}");
        }
    }
}
