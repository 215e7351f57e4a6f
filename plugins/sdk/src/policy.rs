//! The role of choosing what part of a route a client is shown.

/// A plugin of the policy chain. Make it a component with [`export_policy!`](crate::export_policy).
pub trait Policy {
    /// The manifest, as TOML: name, version, and the condition under which the policy runs at all, which the server
    /// checks without entering the component.
    const MANIFEST: &'static str;

    /// Changes the current [`route_view`](crate::route_view), or leaves the route as it is.
    fn select();
}

/// Whether brokers learn the members of their group through this topic. What they are shown of it has to be what was
/// registered, so policies leave it alone. Java: `TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX`.
pub fn is_of_brokers(topic: &str) -> bool {
    topic.starts_with("rmq_sys_SYNC_BROKER_MEMBER_")
}

/// Makes a component of a [`Policy`]: once per crate, at its root.
#[macro_export]
macro_rules! export_policy {
    ($plugin:ty) => {
        #[doc(hidden)]
        struct FingerpostExport;

        impl $crate::bindings::policy::exports::fingerpost::nameserver::route_policy::Guest for FingerpostExport {
            fn describe() -> ::std::string::String {
                <$plugin as $crate::Policy>::MANIFEST.into()
            }

            fn select() {
                $crate::report_panics();
                <$plugin as $crate::Policy>::select();
            }
        }

        #[allow(unsafe_code, reason = "an export of a component is a symbol with a name of the contract's")]
        const _: () = {
            $crate::bindings::policy::export_route_selector!(
                FingerpostExport with_types_in $crate::bindings::policy
            );
        };
    };
}
