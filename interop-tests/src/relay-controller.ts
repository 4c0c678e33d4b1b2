import { MODULES } from './kamailio.ts';

const NEEDED = 'kex tm tmx sl rr pv maxfwd usrloc registrar textops siputils xlog nathelper rtpengine'.split(' ');
export const DOMAIN = 'relayed.example';

const HANDSHAKE = `
event_route[xhttp:request] {
  set_reply_close();
  set_reply_no_connect();
  if ($hdr(Upgrade) =~ "websocket" && $rm =~ "GET") { if (ws_handle_handshake()) exit; }
  xhttp_reply("404", "Not Found", "", "");
}
`;

export interface ControllerOptions {
  /** Its SIP port on 127.0.0.1. */
  readonly port: number;
  /** Of the relay's NG protocol, on loopback. */
  readonly ngPort: number;
  /** It is spoken over that (default: UDP). Over WebSocket by Kamailio's module lwsc. */
  readonly ngOver?: 'udp' | 'ws';
  /** Where browsers come by `ws://127.0.0.1:<port>`. */
  readonly webSocketPort?: number;
}

/**
 * A Kamailio that registers whoever comes and leads all media of its calls through a relay by its rtpengine module, as its
 * documentation shows: an offer for each branch, named apart, an answer for each reply with SDP, a delete at the end. Whoever
 * is called as `sdes-…` is offered SRTP, everybody else plain RTP; browsers call, over WebSocket.
 */
export function relayController({ port, ngPort, ngOver = 'udp', webSocketPort }: ControllerOptions): string {
  const modules = [
    ...(ngOver === 'ws' ? ['lwsc'] : []),
    ...NEEDED,
    ...(webSocketPort === undefined ? [] : ['xhttp', 'websocket']),
  ];
  const relay = ngOver === 'ws' ? `ws://127.0.0.1:${ngPort}/ng` : `udp:127.0.0.1:${ngPort}`;
  return `#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
${webSocketPort === undefined ? 'disable_tcp=yes' : `tcp_children=1\ntcp_accept_no_cl=yes\nlisten=tcp:127.0.0.1:${webSocketPort}`}
auto_aliases=no
alias="${DOMAIN}"
listen=udp:127.0.0.1:${port}
mpath="${MODULES}"
${modules.map((name) => `loadmodule "${name}.so"`).join('\n')}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "gruu_enabled", 0)
${ngOver === 'ws' ? 'modparam("rtpengine", "wsapi", "lwsc")' : ''}
modparam("rtpengine", "rtpengine_sock", "${relay}")
modparam("rtpengine", "extra_id_pv", "$avp(branch)")
modparam("rtpengine", "queried_nodes_limit", 1)

request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  force_rport();
  if (is_method("CANCEL")) { rtpengine_delete(); if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (!loose_route()) {
      if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
      if (!is_method("ACK")) sl_send_reply("404", "Not Here");
      exit;
    }
    if (is_method("BYE")) {
      if (rtpengine_query()) xlog("L_WARN", "relay told the call\\n");
      if (rtpengine_delete()) xlog("L_WARN", "relay ended the call\\n");
    }
    if (is_method("INVITE") && has_body("application/sdp")) {
      rtpengine_offer("replace-origin replace-session-connection");
      t_on_reply("ANSWERED");
    }
    t_relay();
    exit;
  }
  t_check_trans();
  if (is_method("REGISTER")) { save("location"); exit; }
  if (!is_method("INVITE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
  record_route();
  if ($proto == "ws") setflag(5);
  if (!lookup("location")) { sl_send_reply("480", "Nobody there"); exit; }
  t_on_branch("OUT");
  t_on_reply("ANSWERED");
  t_relay();
}

branch_route[OUT] {
  $avp(branch) = "branch-" + $T_branch_idx;
  if (isflagset(5)) {
    rtpengine_offer("replace-origin replace-session-connection ICE=remove RTP/AVP DTLS=off SDES-off rtcp-mux-demux via-branch=extra");
  } else if ($tU =~ "^sdes-") {
    rtpengine_offer("replace-origin replace-session-connection ICE=remove RTP/SAVP DTLS=off trust-address via-branch=extra");
  } else {
    rtpengine_offer("replace-origin replace-session-connection ICE=remove RTP/AVP trust-address via-branch=extra");
  }
}

onreply_route[ANSWERED] {
  if (has_body("application/sdp")) {
    $avp(branch) = "branch-" + $T_branch_idx;
    if (isflagset(5)) {
      rtpengine_answer("replace-origin replace-session-connection ICE=force trust-address via-branch=extra");
    } else if (rtpengine_answer("replace-origin replace-session-connection trust-address via-branch=extra")) {
      xlog("L_WARN", "relay took the answer\\n");
    }
  }
}

event_route[core:worker-one-init] {
  xlog("L_WARN", "provider is ready\\n");
}
${webSocketPort === undefined ? '' : HANDSHAKE}`;
}
