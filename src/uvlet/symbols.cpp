#include <uvlet/backtrace.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <map>
#include <mutex>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.hpp"

namespace uvlet::inline UVLET_ABI {
namespace {

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);

// The functions that a file's symbol table names: static ones as well, which dladdr() does not
// know, nor any of a program that was linked without -rdynamic. Mapped for good.
class SymbolTable {
 public:
  explicit SymbolTable(const char* path) noexcept {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
      size_ = static_cast<std::size_t>(status.st_size);
      void* memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
      if (memory != MAP_FAILED) read(static_cast<const char*>(memory));
    }
    close(fd);
  }

  // The function that `offset`, from where the file's addresses count, lies in; null: none.
  const Symbol* find(std::uintptr_t offset) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      const Symbol& symbol = symbols_[i];
      if ((symbol.st_info & 0xf) == STT_FUNC && offset >= symbol.st_value &&
          offset < symbol.st_value + symbol.st_size)
        return &symbol;
    }
    return nullptr;
  }
  const char* name(const Symbol& symbol) const noexcept {
    return symbol.st_name < names_size_ ? names_ + symbol.st_name : "";
  }
  bool relocated() const noexcept { return relocated_; }

 private:
  void read(const char* file) noexcept {
    Header header;
    if (size_ < sizeof header) return;
    std::memcpy(&header, file, sizeof header);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return;
    if (!within(header.e_shoff, std::size_t{header.e_shnum} * sizeof(Section))) return;
    relocated_ = header.e_type == ET_DYN;
    const auto* sections = reinterpret_cast<const Section*>(file + header.e_shoff);
    for (std::size_t i = 0; i < header.e_shnum; ++i) {
      const Section& section = sections[i];
      if (section.sh_type != SHT_SYMTAB || section.sh_link >= header.e_shnum) continue;
      const Section& names = sections[section.sh_link];
      if (!within(section.sh_offset, section.sh_size) || !within(names.sh_offset, names.sh_size))
        return;
      symbols_ = reinterpret_cast<const Symbol*>(file + section.sh_offset);
      count_ = section.sh_size / sizeof(Symbol);
      names_ = file + names.sh_offset;
      names_size_ = names.sh_size;
    }
  }
  bool within(std::uint64_t offset, std::uint64_t bytes) const noexcept {
    return offset <= size_ && bytes <= size_ - offset;
  }

  std::size_t size_ = 0;
  const Symbol* symbols_ = nullptr;
  std::size_t count_ = 0;
  const char* names_ = nullptr;
  std::size_t names_size_ = 0;
  bool relocated_ = true;
};

const SymbolTable& table_of(const char* path) {
  static std::mutex mutex;
  static auto* tables = new std::map<std::string, SymbolTable>;
  const std::lock_guard lock(mutex);
  return tables->try_emplace(path, path).first->second;
}

std::string with_offset(const std::string& name, std::uintptr_t offset) {
  char text[32];
  std::snprintf(text, sizeof text, "+0x%zx", static_cast<std::size_t>(offset));
  return name + text;
}

// The program itself may have been started by a name that leads nowhere now.
const char* path_of(const Dl_info& info) noexcept {
  return std::strchr(info.dli_fname, '/') ? info.dli_fname : "/proc/self/exe";
}

// Where an address lies.
struct Place {
  const char* name;  // the function's symbol; "": not known
  std::string file;
  std::uintptr_t offset;  // from the function's beginning; from the file's, if that is not known
};

Place place_of(void* return_address) {
  const auto address = reinterpret_cast<std::uintptr_t>(return_address);
  const std::uintptr_t call = address - 1;  // it may be the last instruction of its function
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(call), &info) == 0 || !info.dli_fname) {
    const SymbolTable& program = table_of("/proc/self/exe");  // it may be a static one
    const Symbol* found = program.relocated() ? nullptr : program.find(call);
    if (found) return {program.name(*found), "", address - found->st_value};
    return {"", "", address};
  }
  if (info.dli_sname)
    return {info.dli_sname, info.dli_fname,
            address - reinterpret_cast<std::uintptr_t>(info.dli_saddr)};
  const SymbolTable& table = table_of(path_of(info));
  const auto base = table.relocated() ? reinterpret_cast<std::uintptr_t>(info.dli_fbase) : 0;
  if (const Symbol* found = table.find(call - base))
    return {table.name(*found), info.dli_fname, address - base - found->st_value};
  return {"", info.dli_fname, address - base};
}

// "f(int)" for "f(f(int)::_Z1fi.Frame*) [clone .actor]", which g++ makes of a coroutine f(int), and
// for clang's "f(int) [clone .resume]".
std::string tidy(std::string name) {
  constexpr std::string_view resume = " [clone .resume]";
  if (name.ends_with(resume)) name.resize(name.size() - resume.size());
  const std::size_t end = name.rfind("::_Z");
  if (end == std::string::npos || !name.ends_with(".Frame*) [clone .actor]")) return name;
  const std::string_view text(name);
  for (std::size_t outer = text.find('('); outer < end; outer = text.find('(', outer + 1)) {
    const std::string_view before = text.substr(0, outer);
    const std::string_view inside = text.substr(outer + 1, end - outer - 1);
    for (std::size_t i = inside.find_first_of("(<"); i < inside.size();
         i = inside.find_first_of("(<", i + 1))
      if (i > 0 && before.ends_with(inside.substr(0, i))) return std::string(inside);
  }
  return name;
}

template <std::size_t count>
bool starts_with_one_of(std::string_view text, const std::string_view (&beginnings)[count]) {
  for (const std::string_view one : beginnings)
    if (text.starts_with(one)) return true;
  return false;
}

}  // namespace

std::string demangled(const char* name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

std::string symbol(void* return_address) {
  const Place place = place_of(return_address);
  if (!*place.name && place.file.empty()) return with_offset("", place.offset).substr(1);
  return with_offset(*place.name ? tidy(demangled(place.name)) : place.file, place.offset);
}

std::string without_parameters(const std::string& symbol) {
  constexpr std::string_view unnamed = "(anonymous namespace)", call = "operator()";
  std::string result;
  int depth = 0;  // of lists of arguments and parameters around it
  for (std::size_t i = 0; i < symbol.size(); ++i) {
    const std::string_view rest = std::string_view(symbol).substr(i);
    if (rest.starts_with(unnamed) || rest.starts_with(call)) {
      const bool is_call = rest.starts_with(call);
      if (depth == 0) result += is_call ? call : "{anonymous}";
      i += (is_call ? call : unnamed).size() - 1;
      continue;
    }
    if (symbol[i] == '(' && depth == 0) result.erase(0, result.rfind(' ') + 1);  // what it returns
    if (symbol[i] == '(' || symbol[i] == '<') ++depth;
    if (depth == 0) result += symbol[i];
    if (symbol[i] == ')' || symbol[i] == '>') --depth;
  }
  return depth == 0 ? result : symbol;  // an operator of such a name
}

bool is_internal(void* return_address) {
  static constexpr std::string_view ours[] = {"5uvlet",          "3aio6detail", "5green6detail",
                                              "5green8awaitlet", "St",          "9__gnu_cxx"};
  static constexpr std::string_view of_the_system[] = {"_start", "__libc_start", "__cxa_",
                                                       "__interceptor_"};
  const Place place = place_of(return_address);
  std::string_view name = place.name;
  if (name.empty()) return place.file.find("/libc.so.") != std::string::npos;
  if (!name.starts_with("_Z")) return starts_with_one_of(name, of_the_system);
  name.remove_prefix(2);
  for (const char scope : {'Z', 'N', 'K'})
    if (name.starts_with(scope)) name.remove_prefix(1);
  return starts_with_one_of(name, ours);
}

std::string symbols(const std::vector<void*>& return_addresses) {
  std::string text;
  for (void* address : return_addresses) text += (text.empty() ? "" : " < ") + symbol(address);
  return text;
}

}  // namespace uvlet::inline UVLET_ABI
