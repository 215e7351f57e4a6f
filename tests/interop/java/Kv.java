// What one NameServer stored, another must find in the file: every odd text that a namespace, a key or a value can be.
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.remoting.protocol.body.KVTable;

class Kv {
    private static final int PUT = 100;
    private static final int GET = 101;
    private static final int DELETE = 102;
    private static final int LIST = 219;

    private static final String[] TEXTS = {
        "plain", "", " ", "two words", "主题 é 😀 \u2028\u0085\ufeff", "\"quoted\" 'twice' \\ back/slash \\u0041 \\n",
        "\u0000\u0001\u001f\b\f\n\r\t\u007f", "{\"a\":[null]}", "null", "<&>=;:,#!%", "1", "-0.0", "true", "@type", "$ref",
    };

    // put SERVER MARK: stores every text as a namespace, a key and a value; MARK tells one round from the next.
    // check SERVER MARK: finds all of that and nothing else.
    static boolean run(String verb, String server, String mark) throws Exception {
        try (Probe probe = new Probe(server)) {
            return verb.equals("put") ? put(probe, mark) : check(probe, mark);
        }
    }

    private static Map<String, Map<String, String>> tables(String mark) {
        Map<String, Map<String, String>> tables = new LinkedHashMap<>();
        for (int space = 0; space < TEXTS.length; space++) {
            Map<String, String> table = new LinkedHashMap<>();
            for (int key = 0; key < TEXTS.length; key++) {
                // The empty value stays alone, and every text is a value somewhere.
                String value = TEXTS[(space + key) % TEXTS.length];
                table.put(TEXTS[key], value.isEmpty() ? value : mark + value);
            }
            tables.put(TEXTS[space], table);
        }
        tables.put("emptied", Map.of());
        return tables;
    }

    private static boolean put(Probe probe, String mark) throws Exception {
        for (Map.Entry<String, Map<String, String>> table : tables(mark).entrySet()) {
            for (Map.Entry<String, String> entry : table.getValue().entrySet()) {
                Map<String, String> fields =
                    Map.of("namespace", table.getKey(), "key", entry.getKey(), "value", entry.getValue());
                if (!succeeds(probe.ask(PUT, fields), fields)) {
                    return false;
                }
            }
        }
        Map<String, String> gone = Map.of("namespace", "emptied", "key", "k", "value", "v");
        return succeeds(probe.ask(PUT, gone), gone) && succeeds(probe.ask(DELETE, gone), gone);
    }

    private static boolean check(Probe probe, String mark) throws Exception {
        boolean equal = true;
        for (Map.Entry<String, Map<String, String>> table : tables(mark).entrySet()) {
            Map<String, String> where = Map.of("namespace", table.getKey());
            RemotingCommand answer = probe.ask(LIST, where);
            if (!succeeds(answer, where)) {
                return false;
            }
            Map<String, String> found = RemotingSerializable.decode(answer.getBody(), KVTable.class).getTable();
            equal &= same("the table of " + where, table.getValue(), found);
            for (Map.Entry<String, String> entry : table.getValue().entrySet()) {
                Map<String, String> fields = Map.of("namespace", table.getKey(), "key", entry.getKey());
                Map<String, String> value = probe.ask(GET, fields).getExtFields();
                equal &= same("the value of " + fields, entry.getValue(), value == null ? null : value.get("value"));
            }
        }
        return equal;
    }

    private static boolean succeeds(RemotingCommand answer, Map<String, String> fields) {
        if (answer.getCode() != 0) {
            System.out.println("code " + answer.getCode() + " " + answer.getRemark() + " for " + fields);
        }
        return answer.getCode() == 0;
    }

    private static boolean same(String what, Object wanted, Object found) {
        if (!wanted.equals(found)) {
            System.out.println(what + " is " + found + " and not " + wanted);
        }
        return wanted.equals(found);
    }
}
