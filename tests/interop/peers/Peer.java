import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.util.*;
import javax.net.ssl.*;

/** TLS 1.0 peer over JSSE.
 *  java Peer.java server PORT DIR CERT [SUITES]      java Peer.java client PORT DIR [SUITES]
 *  -Dauth=1 server demands a certificate; -Dcert=client client certificate; -Dalpn=http/1.1; -Dresume=1 second connection;
 *  -Dv2hello=1 send, or accept, an SSL 2.0 ClientHello (RFC 2246 appendix E);
 *  -Dreneg=1 renegotiate before answering (server) or before asking (client). DIR holds NAME.p12 (password "password") and ca.pem. */
public class Peer {
    static SSLContext context(String dir, String name) throws Exception {
        KeyManager[] keys = null;
        if (name != null) {
            KeyStore k = KeyStore.getInstance("PKCS12");
            try (InputStream in = new FileInputStream(dir + "/" + name + ".p12")) { k.load(in, "password".toCharArray()); }
            KeyManagerFactory f = KeyManagerFactory.getInstance("SunX509");
            f.init(k, "password".toCharArray());
            keys = f.getKeyManagers();
        }
        KeyStore t = KeyStore.getInstance("PKCS12");
        t.load(null, null);
        try (InputStream in = new FileInputStream(dir + "/ca.pem")) {
            int i = 0;
            for (java.security.cert.Certificate x : CertificateFactory.getInstance("X.509").generateCertificates(in)) t.setCertificateEntry("ca" + i++, x);
        }
        TrustManagerFactory tf = TrustManagerFactory.getInstance("PKIX");
        tf.init(t);
        SSLContext c = SSLContext.getInstance("TLS");
        c.init(keys, tf.getTrustManagers(), null);
        return c;
    }

    static void protocol(SSLSocket s, String suites) {
        s.setEnabledProtocols(System.getProperty("v2hello") != null ? new String[] {"SSLv2Hello", "TLSv1"} : new String[] {"TLSv1"});
        s.setEnabledCipherSuites(suites == null ? s.getSupportedCipherSuites() : suites.split(","));
        String alpn = System.getProperty("alpn");
        if (alpn != null) { SSLParameters q = s.getSSLParameters(); q.setApplicationProtocols(alpn.split(",")); s.setSSLParameters(q); }
    }

    static String line(InputStream in) throws IOException {
        StringBuilder b = new StringBuilder();
        for (int c; (c = in.read()) >= 0 && c != '\n';) b.append((char) c);
        return b.toString();
    }

    /** Read a request up to its empty line. */
    static void request(InputStream in) throws IOException {
        for (String s = line(in); !s.isEmpty() && !s.equals("\r"); s = line(in)) { }
    }

    /** Handshake, and whether it resumed a session: one that is older than the connection. */
    static boolean handshake(SSLSocket s) throws Exception {
        Thread.sleep(2);
        long now = System.currentTimeMillis();
        s.startHandshake();
        return s.getSession().getCreationTime() < now;
    }

    /** startHandshake only sends HelloRequest; the handshake happens in read, and whoever writes and closes before cuts it off. */
    static void renegotiate(SSLSocket s) throws Exception {
        boolean[] done = {false};
        s.addHandshakeCompletedListener(e -> { synchronized (done) { done[0] = true; done.notifyAll(); } });
        s.startHandshake();
        s.setSoTimeout(100);
        for (int tries = 0; tries < 100; tries++) {
            try { s.getInputStream().read(); } catch (java.net.SocketTimeoutException e) { }
            synchronized (done) { if (done[0]) break; }
        }
        s.setSoTimeout(0);
    }

    static String peer(SSLSession s) { try { return s.getPeerPrincipal().getName(); } catch (SSLPeerUnverifiedException e) { return "-"; } }

    public static void main(String[] a) throws Exception {
        Security.setProperty("jdk.tls.disabledAlgorithms", "");
        Security.setProperty("jdk.certpath.disabledAlgorithms", "");
        Security.setProperty("jdk.tls.legacyAlgorithms", "");
        int port = Integer.parseInt(a[1]);
        if (a[0].equals("server")) {
            SSLServerSocket l = (SSLServerSocket) context(a[2], a[3]).getServerSocketFactory().createServerSocket(port, 50, java.net.InetAddress.getByName("127.0.0.1"));
            System.out.println("ready");
            while (true) {
                SSLSocket s = (SSLSocket) l.accept();
                new Thread(() -> {
                    try (s) {
                        protocol(s, a.length > 4 ? a[4] : null);
                        if (Boolean.getBoolean("auth") || System.getProperty("auth") != null) s.setNeedClientAuth(true);
                        boolean resumed = handshake(s);
                        request(s.getInputStream());
                        if (System.getProperty("reneg") != null) renegotiate(s);
                        SSLSession z = s.getSession();
                        String body = z.getProtocol() + " " + z.getCipherSuite() + " resumed=" + resumed + " peer=" + peer(z) + " alpn=" + s.getApplicationProtocol() + "\n";
                        s.getOutputStream().write(("HTTP/1.0 200 OK\r\nContent-Length: " + body.length() + "\r\n\r\n" + body).getBytes());
                        s.getOutputStream().flush();
                    } catch (Exception e) { System.out.println("server: " + e); }
                }).start();
            }
        }
        SSLContext c = context(a[2], System.getProperty("cert"));
        for (int n = System.getProperty("resume") != null ? 2 : 1; n > 0; n--) {
            try (SSLSocket s = (SSLSocket) c.getSocketFactory().createSocket("localhost", port)) {
                protocol(s, a.length > 3 ? a[3] : null);
                boolean resumed = handshake(s);
                if (System.getProperty("reneg") != null) s.startHandshake();
                s.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes());
                s.getOutputStream().flush();
                SSLSession z = s.getSession();
                System.out.println(line(s.getInputStream()) + " " + z.getProtocol() + " " + z.getCipherSuite() + " resumed=" + resumed + " peer=" + peer(z) + " alpn=" + s.getApplicationProtocol());
            }
        }
    }
}
