//! Broker groups in JSON. Broker ids are bare keys here for clients of every version; only routes know another style.

use crate::json::Writer;
use crate::types::{BrokerAddress, BrokerGroup};

/// Writes a whole group. Java: `BrokerData`.
pub fn write(json: &mut Writer, group: &BrokerGroup) {
    json.begin_object();
    write_addresses(json, &group.addresses);
    json.member("brokerName", &group.broker_name);
    json.member("cluster", &group.cluster);
    json.key("enableActingMaster");
    json.boolean(group.enable_acting_master);
    json.optional_member("zoneName", group.zone_name.as_deref());
    json.end_object();
}

/// Writes the member `brokerAddrs` of an object that is open.
pub fn write_addresses(json: &mut Writer, addresses: &[BrokerAddress]) {
    json.key("brokerAddrs");
    json.begin_object();
    for member in addresses {
        json.bare_key(member.broker_id);
        json.string(&member.address);
    }
    json.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(group: &BrokerGroup) -> String {
        let mut json = Writer::new();
        write(&mut json, group);
        String::from_utf8(json.take()).unwrap()
    }

    #[test]
    fn ids_are_bare_and_an_absent_zone_is_left_out() {
        let mut group = BrokerGroup {
            broker_name: "broker-a".into(),
            cluster: "c".into(),
            zone_name: None,
            enable_acting_master: true,
            addresses: vec![
                BrokerAddress { broker_id: 0, address: "10.0.0.1:10911".into() },
                BrokerAddress { broker_id: 12, address: "10.0.0.2:10911".into() },
            ],
        };
        assert_eq!(
            written(&group),
            r#"{"brokerAddrs":{0:"10.0.0.1:10911",12:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"c","enableActingMaster":true}"#
        );

        group.addresses.clear();
        group.zone_name = Some("z\"1".into());
        assert_eq!(
            written(&group),
            r#"{"brokerAddrs":{},"brokerName":"broker-a","cluster":"c","enableActingMaster":true,"zoneName":"z\"1"}"#
        );
    }
}
