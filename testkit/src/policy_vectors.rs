//! A parser of policy vectors: cases of "may the guest connect to this host?", one per line.
//!
//! A line has three columns, separated by tabs: the input, `allow` or `deny`, and the reason. The
//! input is the contents of a JSON string. Without `=>` it is the host that the guest passes;
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

use crate::dns::{Answer, Script};

/// A policy test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVector {
    /// The input as written in the file, to name the case in failures.
    pub input: String,
    /// The host that the guest passes.
    pub host: String,
    /// The CNAME hops between the host and its addresses, in order.
    pub aliases: Vec<String>,
    /// The result of each lookup; the last is repeated. An empty result means that the name does
    /// not exist.
    pub lookups: Vec<Vec<IpAddr>>,
    /// The number of the connect that the verdict is about, from 1.
    pub connect: u32,
    /// Whether the connect is expected to be allowed.
    pub allow: bool,
    /// The reason of the verdict.
    pub reason: String,
}

impl PolicyVector {
    /// Parses one line.
    ///
    /// ```
    /// use eryx_testkit::policy_vectors::PolicyVector;
    ///
    /// let case = PolicyVector::parse("2:ttl0.test=>1.1.1.1|10.0.0.5\tdeny\tTTL 0 rebinding")?;
    /// assert_eq!((case.host.as_str(), case.connect, case.allow), ("ttl0.test", 2, false));
    /// assert_eq!(case.lookups.len(), 2);
    /// # Ok::<(), eryx_testkit::policy_vectors::VectorError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the line is malformed; the error contains the line and the problem.
    pub fn parse(line: &str) -> Result<Self, VectorError> {
        let error = |problem| VectorError {
            line: line.to_owned(),
            problem,
        };
        let mut columns = line.splitn(3, '\t');
        let (Some(input), Some(verdict), Some(reason)) =
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
            reason: reason.to_owned(),
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

    /// Parses a file whose first line is the header.
    ///
    /// # Errors
    ///
    /// The error of the first malformed line.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, VectorError> {
        let lines = text.lines().skip(1).filter(|line| !line.is_empty());
        lines.map(Self::parse).collect()
    }

    /// Returns the script with which a name server serves this case, with TTL 0.
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

/// An error in a line of a policy vector file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: `{line}`")]
pub struct VectorError {
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

    fn parse(input: &str) -> PolicyVector {
        PolicyVector::parse(&format!("{input}\tdeny\twhy")).unwrap()
    }

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_input_without_an_arrow_is_the_host_itself() {
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
    fn alias_hops_keep_their_order() {
        let vector = parse("a.test~>b.test~>c.test=>1.1.1.1");
        assert_eq!(
            (vector.host.as_str(), vector.aliases),
            ("a.test", vec!["b.test".into(), "c.test".into()])
        );
    }

    #[test]
    fn an_empty_result_is_a_name_that_does_not_exist() {
        assert_eq!(parse("gone.test=>").lookups, [ips(&[])]);
        assert_eq!(
            parse("gone.test=>1.1.1.1|").lookups,
            [ips(&["1.1.1.1"]), ips(&[])]
        );
    }

    #[test]
    fn verdict_and_reason_are_parsed() {
        let vector = PolicyVector::parse("a.test=>1.1.1.1\tallow\tpublic\tspace").unwrap();
        assert!(vector.allow);
        assert_eq!(vector.reason, "public\tspace");
    }

    #[test]
    fn the_first_line_of_a_file_is_a_header() {
        let vectors =
            PolicyVector::parse_file("input\texpected\twhy\na\tallow\tx\nb\tdeny\ty\n").unwrap();
        assert_eq!(
            vectors
                .iter()
                .map(|vector| &vector.host)
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
    }

    #[test]
    fn a_malformed_line_is_rejected_with_the_problem() {
        for (line, problem) in [
            ("a\tallow", "three columns"),
            ("a\tmaybe\twhy", "`allow` or `deny`"),
            ("a\"\tallow\twhy", "JSON"),
            ("a=>b.test\tallow\twhy", "addresses"),
        ] {
            let error = PolicyVector::parse(line).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(line), "{error}");
        }
    }
}
