import Testing

extension Exchange {
  @Suite struct BrokerAccessTests {
    @Test func aWrongPasswordIsSaidByName() async throws {
      let node = try await Province.node("LOGIN-A")
      var environment = try await Province.shared.plainConnection(of: "LOGIN-A")
      environment["CONGVAN_BROKER_PASSWORD"] = "wrong"
      let wrong = try await node.congvan(["config", "check"], environment: environment)
      #expect(wrong.status == 1)
      #expect(wrong.output.contains("FAIL  broker: [BROKER-LOGIN-REFUSED]"))
      // With the right one, so that it was the password.
      environment["CONGVAN_BROKER_PASSWORD"] = nil
      let right = try await node.congvan(["config", "check"], environment: environment)
      #expect(right.status == 0, "\(right)")
      #expect(right.output.contains("ok    broker: amqp://LOGIN-A@localhost"))
    }

    /// The broker of deploy/broker wants a client certificate of everybody who comes over TLS.
    @Test func aPasswordInsteadOfTheCertificateIsSaidByName() async throws {
      let node = try await Province.node("LOGIN-A")
      let check = try await node.congvan(
        ["config", "check"],
        environment: [
          "CONGVAN_BROKER_AUTHENTICATION": "password", "CONGVAN_BROKER_PASSWORD": "any",
        ])
      #expect(check.status == 1)
      #expect(check.output.contains("FAIL  broker: [BROKER-TLS] no client cert"))
    }

    @Test func aBrokerOfAnotherAuthorityIsNotTalkedTo() async throws {
      let node = try await Province.node("LOGIN-A")
      let other = try CleanUp.folder("other-ca")
      try await Command.require("\(Places.deploy)/ca", ["init", "\(other)/ca"])
      let check = try await node.congvan(
        ["config", "check"], environment: ["CONGVAN_BROKER_CA_FILE": "\(other)/ca/ca.pem"])
      #expect(check.status == 1)
      #expect(check.output.contains("FAIL  broker: [BROKER-TLS] untrusted"))
    }

    @Test func untilIdleEndsWithACodeWhenTheBrokerIsAbsentOrRefuses() async throws {
      let node = try await Province.node("LOGIN-A")
      // A port of this machine that nobody listens on: 1 is reserved (tcpmux).
      let absent = try await node.congvan(
        ["node", "--until-idle"], environment: ["CONGVAN_BROKER_PORT": "1"])
      #expect(absent.status == 1)
      #expect(absent.errors.contains("error[NODE-BROKER-UNREACHABLE]: BROKER-UNREACHABLE"))
      #expect(absent.errors.contains("\n  next: "))
      let province = try await Province.shared
      var plain = province.plainConnection(of: "LOGIN-A")
      plain["CONGVAN_BROKER_PASSWORD"] = "wrong"
      let refused = try await node.congvan(["node", "--until-idle"], environment: plain)
      #expect(refused.status == 1)
      #expect(refused.errors.contains("error[NODE-BROKER-UNREACHABLE]: BROKER-LOGIN-REFUSED"))
    }
  }
}
