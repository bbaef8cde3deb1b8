'use strict';
// TLS 1.0 peer for any Node.js from 0.12 to 24.   node peer.js server PORT DIR CERT [CIPHERS] | client PORT DIR [CIPHERS]
// Environment: CLIENT_CERT=client   ALPN=http/1.1   NPN=spdy/3,http/1.1 (old ones)   REQUEST_CERT=1   RESUME=1   RENEG=1   NO_TICKET=1
var tls = require('tls'), fs = require('fs'), crypto = require('crypto');
var role = process.argv[2], port = +process.argv[3], dir = process.argv[4] + '/', env = process.env;
function read(name) { return fs.readFileSync(dir + name); }
var old = parseInt(process.versions.openssl) < 1 || /^(1\.0|0)/.test(process.versions.openssl);
function base(ciphers) {
  var o = { ciphers: ciphers || (old ? 'ALL:COMPLEMENTOFALL' : 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'), ca: String(read('ca.pem')).match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g), ecdhCurve: old ? 'prime256v1' : 'auto' };
  if (env.NO_TICKET) o.secureOptions = 0x4000;                       // SSL_OP_NO_TICKET
  if (tls.DEFAULT_MIN_VERSION) { o.minVersion = 'TLSv1'; o.maxVersion = 'TLSv1'; } else o.secureProtocol = 'TLSv1_method';
  if (env.ALPN && tls.convertALPNProtocols) o.ALPNProtocols = [env.ALPN];
  if (env.NPN) o.NPNProtocols = env.NPN.split(',');
  return o;
}
if (role === 'server') {
  var o = base(process.argv[6]), c = process.argv[5] || 'rsa';
  o.cert = c.split(',').map(function (n) { return read(n + '.pem'); }); o.key = c.split(',').map(function (n) { return read(n + '.key'); });
  if (o.cert.length === 1) { o.cert = o.cert[0]; o.key = o.key[0]; }
  o.dhparam = read('dh2048.pem'); o.sessionIdContext = 'peer'; o.honorCipherOrder = false;
  if (env.REQUEST_CERT) { o.requestCert = true; o.rejectUnauthorized = true; }
  var cache = {}, s = tls.createServer(o, function (k) {
    k.on('error', function () {});
    var p = k.getPeerCertificate && k.getPeerCertificate();
    var asked = '';
    k.on('data', function (d) {
      asked += d; if (asked.slice(-4) !== '\r\n\r\n') return;
      var body = JSON.stringify({ cipher: k.getCipher(), peer: p && p.subject && p.subject.CN, reused: k.isSessionReused && k.isSessionReused(), alpn: k.alpnProtocol, npn: k.npnProtocol }) + '\n';
      var reply = function () { k.end('HTTP/1.0 200 OK\r\nContent-Length: ' + body.length + '\r\n\r\n' + body); };
      if (env.RENEG) k.renegotiate({ rejectUnauthorized: false }, function (e) { console.error('renegotiated', e); reply(); }); else reply();
    });
  });
  s.on('newSession', function (id, d, cb) { cache[id.toString('hex')] = d; if (cb) cb(); });
  s.on('resumeSession', function (id, cb) { cb(null, cache[id.toString('hex')] || null); });
  s.on('clientError', function (e) { console.error('clientError', e.message); }); s.on('tlsClientError', function (e) { console.error('tlsClientError', e.message); });
  s.listen(port, '127.0.0.1', function () { console.log('ready'); });
} else {
  var session, left = env.RESUME ? 2 : 1;
  (function next() {
    var o = base(process.argv[5]); o.host = '127.0.0.1'; o.port = port; o.servername = 'localhost'; o.rejectUnauthorized = !/ADH|AECDH/.test(o.ciphers); if (session) o.session = session;
    if (env.CLIENT_CERT) { o.cert = read(env.CLIENT_CERT + '.pem'); o.key = read(env.CLIENT_CERT + '.key'); }
    var k = tls.connect(o, function () {
      var go = function () { session = k.getSession(); k.write('GET / HTTP/1.0\r\n\r\n'); };
      if (env.RENEG) k.renegotiate({ rejectUnauthorized: false }, function (e) { console.error('renegotiated', e); go(); }); else go();
    });
    var said = '', about;
    k.on('data', function (d) { said += d; about = JSON.stringify({ cipher: k.getCipher(), reused: k.isSessionReused && k.isSessionReused(), alpn: k.alpnProtocol, npn: k.npnProtocol }); });
    k.on('error', function (e) { console.error(e.message); process.exit(1); });
    k.on('end', function () { k.end(); }); k.on('close', function () { console.log(about + ' ' + said); if (--left) next(); });
  })();
}
