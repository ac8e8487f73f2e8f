// Judges a kernel for lora-linear by certified vectors, with the standard library alone.
//
//     c++ -std=c++17 -O2 -ffp-contract=off -o lora_linear lora_linear.cpp
//     loracle vectors verify --quick DIR
//     ./lora_linear DIR        # DIR as `loracle vectors build DIR` writes it
//
// Checksums are not compared here: `verify --quick` does, and is to be run first on a set that was
// copied or unpacked.
//
// Prints PASS, SUSPECT or FAIL for every case of lora-linear-float32.safetensors. Exit status: 0 if
// nothing fails, 1 if anything is proven wrong, 2 if the vectors cannot be read. With -DWRONG the
// kernel forgets the scaling in one gradient, and fails. To judge your own kernel, put it in place
// of `kernel`; for bfloat16 or float16 read the inputs as 16-bit words of that format. The judge
// must not be compiled with -ffast-math, which takes every number to be finite.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// ---------------------------------------------------------------- a little JSON

struct Json {
    enum Kind { null, boolean, number, text, list, object } kind = null;
    bool truth = false;
    double value = 0;
    std::string string;
    std::vector<Json> items;
    std::vector<std::pair<std::string, Json>> members;  // in the order of the file

    const Json& operator[](const std::string& name) const {
        for (const auto& member : members)
            if (member.first == name) return member.second;
        throw std::runtime_error("the manifest has no " + name);
    }
    // Scalars are hexadecimal floats, which strtod reads exactly; so it does "inf".
    double real() const {
        if (kind != text) throw std::runtime_error("the manifest has no number where one is due");
        return std::strtod(string.c_str(), nullptr);
    }
    std::size_t size() const { return static_cast<std::size_t>(value); }
};

class Parser {
public:
    explicit Parser(const std::string& text) : at_(text.c_str()), end_(at_ + text.size()) {}

    Json parse() {
        Json json;
        switch (peek()) {
            case '{':
                json.kind = Json::object;
                sequence('}', [&] {
                    std::string name = quoted();
                    expect(':');
                    json.members.emplace_back(std::move(name), parse());
                });
                break;
            case '[':
                json.kind = Json::list;
                sequence(']', [&] { json.items.push_back(parse()); });
                break;
            case '"':
                json.kind = Json::text;
                json.string = quoted();
                break;
            case 't': word("true"); json.kind = Json::boolean; json.truth = true; break;
            case 'f': word("false"); json.kind = Json::boolean; break;
            case 'n': word("null"); break;
            default: {
                char* after = nullptr;
                json.kind = Json::number;
                json.value = std::strtod(at_, &after);
                if (after == at_) fail();
                at_ = after;
            }
        }
        return json;
    }

private:
    char peek() {
        while (at_ < end_ && std::strchr(" \n\r\t", *at_)) ++at_;
        if (at_ == end_) fail();
        return *at_;
    }
    void expect(char wanted) {
        if (peek() != wanted) fail();
        ++at_;
    }
    void word(const char* wanted) {
        std::size_t length = std::strlen(wanted);
        if (std::strncmp(at_, wanted, length) != 0) fail();
        at_ += length;
    }
    template <typename Item>
    void sequence(char closing, Item item) {
        ++at_;
        if (peek() == closing) { ++at_; return; }
        for (;;) {
            item();
            if (peek() == closing) { ++at_; return; }
            expect(',');
        }
    }
    // The manifest is ASCII; an escaped character other than these stays as it is written.
    std::string quoted() {
        expect('"');
        std::string result;
        while (at_ < end_ && *at_ != '"') {
            if (*at_ == '\\' && at_ + 1 < end_ && std::strchr("\"\\/", at_[1])) ++at_;
            result += *at_++;
        }
        expect('"');
        return result;
    }
    [[noreturn]] static void fail() { throw std::runtime_error("the manifest is no JSON"); }

    const char* at_;
    const char* end_;
};

// ---------------------------------------------------------------- tensors of a file

std::string contents(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// The manifest has the place of every tensor; the bytes are little-endian, as this machine's are
// taken to be, and in C order.
template <typename Number>
std::vector<Number> tensor(const std::string& file, const Json& shape, const Json& offset) {
    std::size_t count = 1;
    for (const Json& size : shape.items) count *= size.size();
    if (offset.size() + count * sizeof(Number) > file.size())
        throw std::runtime_error("a tensor reaches beyond the end of its file");
    std::vector<Number> values(count);
    std::memcpy(values.data(), file.data() + offset.size(), count * sizeof(Number));
    return values;
}

// ---------------------------------------------------------------- the kernel that is judged

using Floats = std::vector<float>;

struct Layer {
    Floats x, weight, lora_a, lora_b, grad_output;
    std::size_t rows, in, out, r;  // rows: batch times length
    float scaling;
};

// left (m, k) times right (k, n); a transposed factor is stored as (k, m) or (n, k).
Floats product(const Floats& left, bool left_transposed, const Floats& right, bool right_transposed,
               std::size_t m, std::size_t k, std::size_t n) {
    Floats result(m * n, 0.0f);
    for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j)
            for (std::size_t t = 0; t < k; ++t)
                result[i * n + j] += left[left_transposed ? t * m + i : i * k + t] *
                                     right[right_transposed ? j * k + t : t * n + j];
    return result;
}

Floats plus_scaled(Floats sum, const Floats& term, float factor) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += factor * term[i];
    return sum;
}

std::map<std::string, Floats> kernel(const Layer& l) {
    const Floats down = product(l.x, false, l.lora_a, true, l.rows, l.in, l.r);            // x A^T
    const Floats up = product(l.grad_output, false, l.lora_b, false, l.rows, l.out, l.r);  // G B
    const Floats grad_a = product(up, true, l.x, false, l.r, l.rows, l.in);
    const Floats grad_b = product(l.grad_output, true, down, false, l.out, l.rows, l.r);
#ifdef WRONG
    const float scaling_of_b = 1.0f;
#else
    const float scaling_of_b = l.scaling;
#endif
    return {
        {"output",
         plus_scaled(product(l.x, false, l.weight, true, l.rows, l.in, l.out),
                     product(down, false, l.lora_b, true, l.rows, l.r, l.out), l.scaling)},
        {"grad_x",
         plus_scaled(product(l.grad_output, false, l.weight, false, l.rows, l.out, l.in),
                     product(up, false, l.lora_a, false, l.rows, l.r, l.in), l.scaling)},
        {"grad_lora_a", plus_scaled(Floats(l.r * l.in), grad_a, l.scaling)},
        {"grad_lora_b", plus_scaled(Floats(l.out * l.r), grad_b, scaling_of_b)},
    };
}

// ---------------------------------------------------------------- the judge

enum Verdict { pass, suspect, fail };

Verdict judge(const Floats& result, const std::string& file, const Json& output) {
    const auto truth = tensor<double>(file, output["shape"], output["truth"]);
    const auto radius = tensor<double>(file, output["shape"], output["radius"]);
    const auto bound = tensor<double>(file, output["shape"], output["bound"]);
    if (result.size() != truth.size()) return fail;
    double largest = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
        const double error = std::fabs(static_cast<double>(result[i]) - truth[i]);
        if (!std::isfinite(error)) return output["overflow_free"].truth ? fail : suspect;
        if (error > bound[i] + radius[i]) return fail;
        largest = std::max(largest, error);
    }
    const Json& tolerance = output["tolerance"];
    return tolerance.kind != Json::null && largest > tolerance.real() ? suspect : pass;
}

// The known mistakes that each of the outputs seen so far reveals.
class Suspicion {
public:
    void add(const Json& row) {
        std::set<std::string> revealed;
        for (const char* limit : {"proves", "suspects"})
            for (const Json& name : row[limit].items)
                if (first_ || common_.count(name.string)) revealed.insert(name.string);
        common_ = std::move(revealed);
        first_ = false;
    }
    void tell(const Json& explanations) const {
        std::printf("known mistakes that would show wherever this one does:\n");
        for (const std::string& name : common_)
            std::printf("  %s: %s\n", name.c_str(), explanations[name].string.c_str());
        if (common_.empty()) std::printf("  none\n");
    }

private:
    bool first_ = true;
    std::set<std::string> common_;
};

Verdict judge_case(const std::string& file, const Json& entry, const Json& manifest,
                   Suspicion& suspicion) {
    const Json& inputs = entry["inputs"];
    const Json& sizes = entry["sizes"];
    const auto input = [&](const char* name) {
        return tensor<float>(file, inputs[name]["shape"], inputs[name]["offset"]);
    };
    const Layer layer{input("x"), input("weight"), input("lora_a"), input("lora_b"),
                      input("grad_output"), sizes["batch"].size() * sizes["length"].size(),
                      sizes["in"].size(), sizes["out"].size(), sizes["r"].size(),
                      static_cast<float>(entry["scalars"]["scaling"].real())};
    const auto results = kernel(layer);
    Verdict worst = pass;
    std::string wrong;
    for (const auto& [name, output] : entry["outputs"].members) {
        const Verdict verdict = judge(results.at(name), file, output);
        worst = std::max(worst, verdict);
        if (verdict == pass) continue;
        wrong += " " + name;
        suspicion.add(manifest["reveals"].items.at(output["reveals"].size()));
    }
    static const char* const words[] = {"PASS", "SUSPECT", "FAIL"};
    std::printf("%-7s %s%s\n", words[worst], entry["case"].string.c_str(), wrong.c_str());
    if (worst != pass)
        for (const Json& flag : entry["flags"].items)
            std::printf("        %s: %s\n", flag.string.c_str(),
                        manifest["flags"][flag.string]["why"].string.c_str());
    return worst;
}

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: %s DIR\n", arguments[0]);
        return 2;
    }
    try {
        const std::string folder = std::string(arguments[1]) + "/";
        const Json manifest = Parser(contents(folder + "manifest.json")).parse();
        if (manifest["schema"].string != "loracle-vectors/1")
            throw std::runtime_error("the manifest has another schema");
        int failed = 0, suspected = 0, judged = 0;
        Suspicion suspicion;
        for (const Json& entry : manifest["files"].items) {
            if (entry["contract"].string != "lora-linear" || entry["dtype"].string != "float32")
                continue;
            const std::string file = contents(folder + entry["name"].string);
            for (const Json& one : entry["cases"].items) {
                const Verdict verdict = judge_case(file, one, manifest, suspicion);
                failed += verdict == fail;
                suspected += verdict == suspect;
                ++judged;
            }
        }
        if (judged == 0) throw std::runtime_error("no vectors of lora-linear in float32");
        if (failed || suspected) suspicion.tell(manifest["mistakes"]["lora-linear"]);
        std::printf("%d of %d cases fail, %d are suspect\n", failed, judged, suspected);
        return failed ? 1 : 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 2;
    }
}
