//! What `wit/` looks like from Rust.
//!
//! One world that imports every interface, because the host serves the same functions to processors and to policies;
//! which of them a component may link against is decided in [`super::engine`]. Exports are looked up by hand, once.

wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package fingerpost:host;
        world host {
            import fingerpost:nameserver/request@0.1.1;
            import fingerpost:nameserver/reply@0.1.1;
            import fingerpost:nameserver/routes@0.1.1;
            import fingerpost:nameserver/registrations@0.1.1;
            import fingerpost:nameserver/bodies@0.1.1;
            import fingerpost:nameserver/kv@0.1.1;
            import fingerpost:nameserver/settings@0.1.1;
            import fingerpost:nameserver/log@0.1.1;
            import fingerpost:nameserver/clock@0.1.1;
            import fingerpost:nameserver/route-view@0.1.1;
            import fingerpost:nameserver/metrics@0.1.1;
            import fingerpost:nameserver/state@0.1.1;
        }
    ",
    world: "fingerpost:host/host",
    imports: { default: trappable },
    with: {
        "fingerpost:nameserver/registrations.topic-table": super::host::registrations::HostTopicTable,
        "fingerpost:nameserver/routes.topic-cursor": super::host::routes::TopicCursor,
        "fingerpost:nameserver/routes.group-cursor": super::host::routes::GroupCursor,
    },
});
