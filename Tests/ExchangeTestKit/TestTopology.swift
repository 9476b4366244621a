import ExchangeCore

/// The broker objects of units as a definitions document, as provisioning makes them.
enum TestTopology {
  static func definitions(_ units: [TestBroker.Unit], limit: Int?, queueType: String)
    -> [String: Any]
  {
    var exchanges: [Any] = [exchange(Topology.hub)]
    var queues: [Any] = []
    var bindings: [Any] = []
    for unit in units {
      let out = Topology.outExchange(of: unit.id)
      exchanges.append(exchange(out))
      bindings.append(binding(out, to: Topology.hub, "exchange", key: "#"))
      for lane in Lane.allCases {
        let queue = Topology.queue(lane, of: unit.id)
        var arguments: [String: Any] = [
          "x-queue-type": queueType, "x-overflow": "reject-publish",
        ]
        // What RabbitMQ 4 would set by itself is 20, at which it deletes a message.
        if queueType == "quorum" { arguments["x-delivery-limit"] = 1_000_000_000 }
        if let limit { arguments["x-max-length"] = limit }
        queues.append(
          [
            "name": queue, "vhost": "/", "durable": true, "auto_delete": false,
            "arguments": arguments,
          ] as [String: Any])
        let key = Topology.routingKey(lane, to: unit.id)
        bindings.append(binding(Topology.hub, to: queue, "queue", key: key))
      }
    }
    return [
      "users": units.map { ["name": $0.id.rawValue, "password": $0.password, "tags": ""] },
      "permissions": units.map(permission), "exchanges": exchanges, "queues": queues,
      "bindings": bindings,
    ]
  }

  private static func exchange(_ name: String) -> [String: Any] {
    [
      "name": name, "vhost": "/", "type": "topic", "durable": true, "auto_delete": false,
      "internal": false, "arguments": [String: String](),
    ]
  }

  private static func binding(_ source: String, to destination: String, _ kind: String, key: String)
    -> [String: Any]
  {
    [
      "source": source, "vhost": "/", "destination": destination, "destination_type": kind,
      "routing_key": key, "arguments": [String: String](),
    ]
  }

  private static func permission(_ unit: TestBroker.Unit) -> [String: String] {
    [
      "user": unit.id.rawValue, "vhost": "/", "configure": "^$",
      "write": "^congvan\\.out\\.\(unit.id)$",
      "read": "^congvan\\.(ordinary|express)\\.\(unit.id)$",
    ]
  }
}
