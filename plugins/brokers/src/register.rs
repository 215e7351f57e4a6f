//! 103 and 104: a broker comes, and goes.

use fingerpost_sdk::registrations::{self, BodyForm, RegisterError, Registered, Registration, TopicTable};
use fingerpost_sdk::types::DecodeError;
use fingerpost_sdk::{Outcome, Refusal, body, code, field, kv, reply, request, route_reply, settings};

/// Brokers before this version send the topic table alone. Java: `MQVersion.Version.V3_0_11`.
const REGISTER_BODY_SINCE: i32 = 37;

/// Brokers from this version on append static-topic mappings to a compressed body. Java: `MQVersion.Version.V5_0_0`.
const MAPPINGS_SINCE: i32 = 413;

/// Java: `DefaultRequestProcessor.registerBroker`.
pub(crate) fn register() -> Outcome {
    check_body_sum()?;
    // Java registers a nameless broker with success, as a ghost that never leaves; here it is told what is missing.
    let registration = registration()?;
    let topics = topics()?;
    match registrations::register(&registration, topics) {
        Ok(registered) => welcome(&registered),
        Err(RegisterError::SingleTopic) => {
            reply::set_fields_present();
            return Err(Refusal::error("register broker failed"));
        }
        Err(RegisterError::ConnectionClosed) => return Err(Refusal::error("the connection is closed")),
        Err(RegisterError::Denied(why) | RegisterError::Invalid(why)) => return Err(Refusal::error(why)),
    }
    Ok(())
}

/// Java: `DefaultRequestProcessor.unregisterBroker`.
pub(crate) fn unregister() -> Outcome {
    // In Java an absent id stops the removal half-way, and leaves an address that never expires.
    let broker_id = field::required_long("brokerId")?;
    // What names no broker matches none, and that is a success.
    if let (Some(cluster), Some(name), Some(address)) =
        (field::text("clusterName"), field::text("brokerName"), field::text("brokerAddr"))
    {
        registrations::unregister(&cluster, &name, broker_id, &address)?;
    }
    reply::set_code(code::SUCCESS);
    Ok(())
}

/// Java: `DefaultRequestProcessor.checksum`.
fn check_body_sum() -> Outcome {
    let expected = field::int("bodyCrc32").unwrap_or(0);
    // Java: `UtilAll.crc32` drops the sign bit, so that the sum fits an `int`.
    if expected == 0 || u32::try_from(expected) == Ok(request::body_crc32() & 0x7fff_ffff) {
        return Ok(());
    }
    reply::set_fields_present();
    Err(Refusal::error("crc32 not match"))
}

fn registration() -> Result<Registration, Refusal> {
    Ok(Registration {
        cluster: field::required("clusterName")?,
        broker_name: field::required("brokerName")?,
        broker_id: field::required_long("brokerId")?,
        address: field::required("brokerAddr")?,
        ha_address: field::text("haServerAddr"),
        zone_name: field::text("__ZONE_NAME"),
        enable_acting_master: field::boolean("enableActingMaster"),
        heartbeat_timeout_ms: field::long("heartbeatTimeoutMillis"),
        delete_missing_topics: settings::flag("deleteTopicWithBrokerRegistration"),
    })
}

fn topics() -> Result<TopicTable, Refusal> {
    let version = request::version();
    if version < 0 {
        // Java: `MQVersion.value2Version` throws, here and nowhere else.
        return Err(Refusal::error("the client version is negative"));
    }
    let form = body_form(version, field::boolean("compressed") == Some(true));
    TopicTable::from_body(form).map_err(|error| match error {
        DecodeError::Malformed(at) | DecodeError::TooLarge(at) => Refusal::error(
            // The class is Java's and scripts look for it; what follows is ours.
            "org.apache.rocketmq.remoting.exception.RemotingCommandException: Failed to decode RegisterBrokerBody, "
                .to_owned()
                + &at,
        ),
    })
}

/// Java: `DefaultRequestProcessor.registerBroker`, `RegisterBrokerBody.decode`.
fn body_form(version: i32, compressed: bool) -> BodyForm {
    match (version, compressed) {
        (..REGISTER_BODY_SINCE, _) => BodyForm::LegacyJson,
        (_, false) => BodyForm::Json,
        (..MAPPINGS_SINCE, true) => BodyForm::Compressed,
        (_, true) => BodyForm::CompressedWithMappings,
    }
}

/// Tells a slave where its master is, and every broker in which order the queues of ordered topics stand.
fn welcome(registered: &Registered) {
    reply::set_fields_present();
    if let Some(address) = &registered.ha_address {
        reply::set_field("haServerAddr", address);
    }
    if let Some(address) = &registered.master_address {
        reply::set_field("masterAddr", address);
    }
    if settings::flag("returnOrderTopicConfigToBroker")
        && let Some(entries) = kv::entries(route_reply::ORDER_TOPIC_CONFIG)
    {
        body::send_table(&entries);
    }
    reply::set_code(code::SUCCESS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_body_follows_from_version_and_compression() {
        assert_eq!(body_form(36, false), BodyForm::LegacyJson);
        assert_eq!(body_form(36, true), BodyForm::LegacyJson);
        assert_eq!(body_form(37, false), BodyForm::Json);
        assert_eq!(body_form(412, true), BodyForm::Compressed);
        assert_eq!(body_form(413, true), BodyForm::CompressedWithMappings);
        assert_eq!(body_form(9999, false), BodyForm::Json);
    }
}
