import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.bouncycastle.crypto.engines.DESEngine;
import org.bouncycastle.crypto.macs.ISO9797Alg3Mac;
import org.bouncycastle.crypto.params.KeyParameter;
import org.jpos.iso.BCDInterpreter;
import org.jpos.iso.BcdPrefixer;
import org.jpos.iso.EbcdicInterpreter;
import org.jpos.iso.IFB_BINARY;
import org.jpos.iso.IFB_BITMAP;
import org.jpos.iso.IFB_LLNUM;
import org.jpos.iso.IFB_NUMERIC;
import org.jpos.iso.IFE_CHAR;
import org.jpos.iso.ISOBasePackager;
import org.jpos.iso.ISOException;
import org.jpos.iso.ISOFieldPackager;
import org.jpos.iso.ISOMsg;
import org.jpos.iso.ISOServer;
import org.jpos.iso.ISOSource;
import org.jpos.iso.ISOStringFieldPackager;
import org.jpos.iso.ISOUtil;
import org.jpos.iso.NullPadder;
import org.jpos.iso.channel.NCCChannel;

/**
 * An issuer host on jPOS (AGPL-3.0, run as a program of its own): its packagers, its channel, its server; the codes are Bouncy Castle's.
 *
 * It finds what a reversal means by field 90 and the retrieval number, as banks do, and keeps what
 * it holds of payers by that. One line is printed for each message. Amounts decide: 1000.00 and more
 * is declined, 6.66 is taken without an answer, 6.67 is taken and the connection closed.
 */
public class Issuer {
    private static final Map<String, Long> HELD = new HashMap<>();
    private static final Set<String> DONE = new HashSet<>();
    private static byte[] key;

    /** Digits packed, texts in EBCDIC, lengths in BCD. */
    static class Packed extends ISOBasePackager {
        Packed() {
            ISOFieldPackager[] fields = new ISOFieldPackager[129];
            fields[0] = new IFB_NUMERIC(4, "TYPE", true);
            fields[1] = new IFB_BITMAP(16, "BITMAP");
            int[][] digits = {{3, 6}, {4, 12}, {7, 10}, {11, 6}, {12, 6}, {13, 4}, {22, 3}, {25, 2},
                {49, 3}, {70, 3}, {90, 42}};
            for (int[] each : digits) fields[each[0]] = new IFB_NUMERIC(each[1], "", true);
            int[][] texts = {{37, 12}, {38, 6}, {39, 2}, {41, 8}, {42, 15}};
            for (int[] each : texts) fields[each[0]] = new IFE_CHAR(each[1], "");
            fields[32] = new IFB_LLNUM(11, "", true);
            for (int each : new int[] {125, 126, 127}) {
                fields[each] = new ISOStringFieldPackager(999, "", NullPadder.INSTANCE,
                    EbcdicInterpreter.INSTANCE, BcdPrefixer.LLL);
            }
            fields[64] = new IFB_BINARY(8, "");
            fields[128] = new IFB_BINARY(8, "");
            setFieldPackager(fields);
        }
    }

    static byte[] code(byte[] packed) {
        ISO9797Alg3Mac mac = new ISO9797Alg3Mac(new DESEngine());
        mac.init(new KeyParameter(key));
        mac.update(packed, 0, packed.length - 8);
        byte[] made = new byte[8];
        mac.doFinal(made, 0);
        return made;
    }

    static int codeField(ISOMsg message) {
        return message.getMaxField() > 64 ? 128 : 64;
    }

    static boolean genuine(ISOMsg message) throws ISOException {
        byte[] given = message.getBytes(codeField(message));
        return given != null && java.util.Arrays.equals(given, code(message.pack()));
    }

    /** What a message to be reversed is known by: its number, time and retrieval number. */
    static String name(String type, String trace, String time, String retrieval) {
        return type + trace + time + retrieval;
    }

    static boolean take(ISOSource source, ISOMsg asked) {
        try {
            String type = asked.getMTI();
            String word = answer(source, asked, type);
            System.out.println(type + " " + asked.getString(4) + " " + word + " " + HELD.values());
            System.out.flush();
            // Not before it is printed: what is reversed then comes at once, by another connection.
            if (word.equals("closed")) ((org.jpos.iso.BaseChannel) source).disconnect();
        } catch (Exception error) {
            System.out.println("failed " + error);
        }
        System.out.flush();
        return true;
    }

    static String answer(ISOSource source, ISOMsg asked, String type) throws Exception {
        if (type.equals("0800")) return reply(source, asked, "00", false);
        if (!genuine(asked)) return reply(source, asked, "63", true);
        String retrieval = asked.getString(37);
        String own = name(type, asked.getString(11), asked.getString(7), retrieval);
        long amount = Long.parseLong(asked.getString(4));
        if (type.equals("0100") || type.equals("0200")) {
            if (amount >= 100000) return reply(source, asked, "51", true);
            HELD.put(own, amount);
            if (amount == 666) return "silent";
            if (amount == 667) return "closed";
            return reply(source, asked, "00", true);
        }
        String kind = type.substring(0, 3);
        boolean again = !DONE.add(name(kind, asked.getString(11), asked.getString(7), retrieval));
        String data = asked.getString(90);
        String meant = data == null ? "" : name(data.substring(0, 4), data.substring(4, 10),
            data.substring(10, 20), retrieval);
        if (type.startsWith("042")) {
            boolean known = HELD.remove(meant) != null;
            // The first reversal of 6.66 is not answered: it has to be repeated.
            if (amount == 666 && !again) return "silent";
            return reply(source, asked, known || again ? "00" : "25", true);
        }
        boolean refund = asked.getString(3).startsWith("20");
        if (!refund && !HELD.containsKey(meant)) return reply(source, asked, "25", true);
        if (refund && !again) HELD.put(own, -amount);
        return reply(source, asked, "00", true);
    }

    static String reply(ISOSource source, ISOMsg asked, String code, boolean signed)
            throws ISOException, IOException {
        ISOMsg answer = new ISOMsg();
        answer.setPackager(asked.getPackager());
        String type = asked.getMTI();
        answer.setMTI(type.substring(0, 2) + (char) (type.charAt(2) + 1) + "0");
        for (int each : new int[] {3, 4, 7, 11, 32, 37, 41, 42, 49, 70}) {
            if (asked.hasField(each)) answer.set(each, asked.getString(each));
        }
        answer.set(39, code);
        if (code.equals("00") && "12".indexOf(type.charAt(1)) >= 0) answer.set(38, "JP0001");
        if (signed) {
            answer.set(codeField(answer), new byte[8]);
            answer.set(codeField(answer), code(answer.pack()));
        }
        source.send(answer);
        return code;
    }

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        key = ISOUtil.hex2byte(arguments[1]);
        NCCChannel channel = new NCCChannel(new Packed(), ISOUtil.hex2byte("6000000003"));
        ISOServer server = new ISOServer(port, channel, new org.jpos.util.ThreadPool(1, 20));
        server.addISORequestListener(Issuer::take);
        new Thread(server).start();
        System.out.println("listening");
        System.out.flush();
        System.in.read();
        System.exit(0);
    }
}
