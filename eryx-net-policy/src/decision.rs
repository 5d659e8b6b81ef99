//! The words of a verdict: the decision, its reason and the transport.

use std::fmt;

/// Declares an enum of fixed words. Each word is written once, for `as_str`, `Display` and serde.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $word:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum $name {
            $(
                $(#[$variant_attribute])*
                #[cfg_attr(feature = "serde", serde(rename = $word))]
                $variant,
            )*
        }

        impl $name {
            /// Returns the value as a word for logs and other programs. The words are stable.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// Whether a connection is allowed.
    pub enum Decision {
        /// The addresses may be dialled.
        Allow = "allow",
        /// The name may be resolved. [`Policy::check_resolved`](crate::Policy::check_resolved) then
        /// decides.
        NeedsAddresses = "needs-addresses",
        /// Nothing may be dialled, and no name server may be queried.
        Deny = "deny",
    }
}

words! {
    /// The reason for a decision.
    #[non_exhaustive]
    pub enum Reason {
        /// Allowed: the allow list matches the host, or all of its addresses.
        Listed = "listed",
        /// Allowed: no entry of the block list matches, and the allow list is empty.
        NotBlocked = "not-blocked",
        /// Allowed: an exemption overrides the entry of the block list that matches, and the allow
        /// list is empty.
        Exempt = "exempt",
        /// Undecided: no entry of the allow list matches the name, but the list has networks that
        /// the name's addresses may be in.
        DependsOnAddresses = "depends-on-addresses",
        /// Denied: the text is not a host.
        MalformedHost = "malformed-host",
        /// Denied: the block list matches the requested name.
        HostBlocked = "host-blocked",
        /// Denied: the block list matches a name that the requested name is an alias of.
        AliasBlocked = "alias-blocked",
        /// Denied: the block list covers the requested address, or an address of the requested
        /// name.
        AddressBlocked = "address-blocked",
        /// Denied: no entry of the allow list matches the host.
        HostNotAllowed = "host-not-allowed",
        /// Denied: the allow list matches the host, but not on this port.
        PortNotAllowed = "port-not-allowed",
        /// Denied: the allow list matches neither the name nor this one of its addresses.
        AddressNotAllowed = "address-not-allowed",
        /// Denied: the name has no addresses.
        NoAddresses = "no-addresses",
        /// Denied: no entry allows UDP to the host.
        UdpNotAllowed = "udp-not-allowed",
        /// Denied: UDP to a multicast or broadcast address.
        NotUnicast = "not-unicast",
        /// Denied: UDP to a host whose requests are inspected. Datagrams, such as those of HTTP/3,
        /// are not inspected.
        UdpInspected = "udp-inspected",
        /// Denied: the requested address, or an address of the requested name, belongs to the
        /// dialling machine itself, and the block list covers loopback.
        OwnAddress = "own-address",
    }
}

words! {
    /// The transport protocol that a policy is checked for.
    #[derive(Default)]
    pub enum Transport {
        /// A TCP connection.
        #[default]
        Tcp = "tcp",
        /// UDP datagrams.
        Udp = "udp",
    }
}
