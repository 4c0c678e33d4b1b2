/** An INVITE as browsers send it: 2 kB, two media sections, one password. */
export function browserInvite(): Uint8Array {
  const sdp = [
    'v=0',
    'o=- 4611732653925212345 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS 5f9c2f44-7a0e-4d5e-9f0a-7f4f3bfae9d1',
    'm=audio 51472 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
    'c=IN IP4 192.0.2.17',
    'a=rtcp:9 IN IP4 0.0.0.0',
    'a=candidate:1467250027 1 udp 2122260223 192.0.2.17 51472 typ host generation 0 network-id 1',
    'a=candidate:435653019 1 tcp 1518280447 192.0.2.17 9 typ host tcptype active generation 0 network-id 1',
    'a=ice-ufrag:F7gI',
    'a=ice-pwd:x9cml/YzichV2+XlhiMu8gUd',
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${'D2:FA:0E:C3:22:59:5E:14'.repeat(4)}`,
    'a=setup:actpass',
    'a=mid:0',
    'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
    'a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
    'a=sendrecv',
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'a=rtpmap:9 G722/8000',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:110 telephone-event/48000',
    'a=rtpmap:126 telephone-event/8000',
    '',
  ].join('\r\n');
  const head = [
    'INVITE sip:bob@offhook.example SIP/2.0',
    'Via: SIP/2.0/WSS hg7d8sj2k4f9.invalid;branch=z9hG4bK8273645;rport',
    'Max-Forwards: 69',
    'To: <sip:bob@offhook.example>',
    'From: "Alice" <sip:alice@offhook.example>;tag=k3j5h2g7f4',
    'Call-ID: 8f2h3jk4l5m6n7b8v9c0',
    'CSeq: 2 INVITE',
    'Authorization: Digest username="alice", realm="offhook.example", nonce="MTc2NDE4NTQ5Nzo4YzJmMzQ1Njc4OTBhYmNkZWY",' +
      ' uri="sip:bob@offhook.example", response="6629fae49393a05397450978507c4ef1", algorithm=MD5, qop=auth, nc=00000001,' +
      ' cnonce="0a4f113b"',
    'Contact: <sip:alice@hg7d8sj2k4f9.invalid;transport=ws;ob>',
    'Allow: ACK,CANCEL,INVITE,MESSAGE,BYE,OPTIONS,INFO,NOTIFY,REFER,UPDATE,PRACK',
    'Supported: outbound,timer,replaces,100rel',
    'Session-Expires: 1800;refresher=uac',
    'User-Agent: SIP.js/0.21.2',
    'Content-Type: application/sdp',
    `Content-Length: ${sdp.length}`,
    '',
    '',
  ].join('\r\n');
  const padding = `X-Padding: ${'x'.repeat(Math.max(0, 2048 - head.length - sdp.length - 13))}\r\n`;
  return new TextEncoder().encode(head.slice(0, -2) + padding + head.slice(-2) + sdp);
}
